import { type ArchivedSegment, type WalArchive, walRangesOf } from '../../../domain/catalog/wal-archive.ts';
import { WAL_PREFIX, walFileOfKey } from '../../../domain/native/layout.ts';
import { parseTimelineHistory, type TimelineHistory, timelineHistoryFileName } from '../../../domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../../domain/postgres/timeline.ts';
import { classifyWalFile, parseWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { type ErrorCode, SpokeError } from '../../../errors.ts';
import type { BlobInfo, BlobReader } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import { readStored } from '../read-stored.ts';

const SEGMENT_FOLDER = /^[0-9A-F]{16}$/;
const FIRST_WITH_HISTORY = 2;
const TIMELINE_DIGITS = 8;
const OF_ONE_FILE: readonly ErrorCode[] = ['BACKUP_DAMAGED', 'SECRET_UNAVAILABLE'];

/** Histories that were read, by place, key and time: they never change. */
export type KnownHistories = Map<string, TimelineHistory | undefined>;

export interface WalListingParts {
  readonly parts: NativeParts;
  readonly store: BlobReader;
  readonly known: KnownHistories;
}

export interface WalListingRequest {
  readonly segmentBytes: number;
  /** The name of a segment: what lies before its folder is not listed, on no timeline. */
  readonly from?: string;
}

/** Lists the WAL of a repository and reads its histories. What was not listed is unknown, not missing: a listing that fails throws. */
export async function readWalArchive(
  { parts, store, known }: WalListingParts,
  { segmentBytes, from }: WalListingRequest,
  context: OperationContext,
): Promise<WalArchive> {
  const objects = from === undefined ? await store.list(WAL_PREFIX, context.signal) : await listFrom(store, from, context.signal);
  const histories = await readHistories({ parts, store, known }, objects, context);
  const ranges = walRangesOf(archivedSegments(objects, segmentBytes));
  const folder = from === undefined ? undefined : parsedSegment(`${from.slice(0, 16)}00000000`, segmentBytes)?.segmentNumber;
  return { segmentSizeBytes: segmentBytes, ...(folder === undefined ? {} : { listedFrom: folder }), ranges, histories };
}

/** The folders of `from` and later, whatever their timeline, and the histories, which lie beside the folders. */
async function listFrom(store: BlobReader, from: string, signal: AbortSignal): Promise<readonly BlobInfo[]> {
  const folders = (await store.listFolders(WAL_PREFIX, signal)).filter((folder) => SEGMENT_FOLDER.test(folder));
  const objects: BlobInfo[] = [];
  for (const folder of folders) {
    if (folder.slice(8) >= from.slice(8, 16)) objects.push(...(await store.list(`${WAL_PREFIX}${folder}/`, signal)));
  }
  const newest = folders.reduce((highest, folder) => Math.max(highest, Number.parseInt(folder.slice(0, 8), 16)), 1);
  for (let timeline = FIRST_WITH_HISTORY; ; timeline += 1) {
    const found = await store.list(`${WAL_PREFIX}${timelineHistoryFileName(timelineIdOf(timeline))}`, signal);
    objects.push(...found);
    // A history is archived before the first segment of its timeline.
    if (found.length === 0 && timeline > newest) return objects;
  }
}

function* archivedSegments(objects: readonly BlobInfo[], segmentBytes: number): Generator<ArchivedSegment> {
  for (const info of objects) {
    const name = walFileOfKey(info.key);
    if (name === undefined || classifyWalFile(name) !== 'segment') continue;
    const parsed = parsedSegment(name, segmentBytes);
    if (parsed !== undefined) yield { ...parsed, archivedAt: info.modifiedAt };
  }
}

/** Undefined for a name that no segment of this size has. */
function parsedSegment(name: string, segmentBytes: number): ReturnType<typeof parseWalSegmentName> | undefined {
  try {
    return parseWalSegmentName(name, segmentBytes);
  } catch {
    return undefined;
  }
}

async function readHistories(
  { parts, store, known }: WalListingParts,
  objects: readonly BlobInfo[],
  context: OperationContext,
): Promise<readonly TimelineHistory[]> {
  const histories: TimelineHistory[] = [];
  for (const info of objects) {
    const name = walFileOfKey(info.key);
    if (name === undefined || classifyWalFile(name) !== 'history') continue;
    const key = `${store.place} ${info.key} ${info.modifiedAt}`;
    if (!known.has(key)) known.set(key, await readHistory({ parts, store, known }, info, name, context));
    const history = known.get(key);
    if (history !== undefined && !histories.some(({ timeline }) => timeline === history.timeline)) histories.push(history);
  }
  return histories.sort((a, b) => a.timeline - b.timeline);
}

/**
 * Undefined for a file that PostgreSQL would refuse, that is damaged, or that only another host has the key for: its timeline counts as one
 * without a history, which nothing is restored along.
 */
async function readHistory(
  { parts, store }: WalListingParts,
  { key }: BlobInfo,
  name: string,
  context: OperationContext,
): Promise<TimelineHistory | undefined> {
  try {
    const bytes = await readStored(parts, store, key, context);
    const timeline = timelineIdOf(Number.parseInt(name.slice(0, TIMELINE_DIGITS), 16));
    return bytes === undefined ? undefined : parseTimelineHistory(new TextDecoder().decode(bytes), timeline);
  } catch (thrown) {
    const isOfThisFile = thrown instanceof RangeError || (thrown instanceof SpokeError && OF_ONE_FILE.includes(thrown.code));
    if (isOfThisFile) return undefined;
    throw thrown;
  }
}
