import { type ArchivedSegment, type WalArchive, walRangesOf } from '../../domain/catalog/wal-archive.ts';
import { parseTimelineHistory, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import { instantOfSeconds } from '../../domain/time/instant.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { repoGetArguments, repoListArguments } from './arguments.ts';
import { type CommandParts, runReading } from './command.ts';
import { type ListedFile, readRepositoryList } from './output.ts';
import { type SegmentEvidence, segmentSizeOf } from './segment-size.ts';
import type { RepositorySettings } from './settings.ts';

/** As pgBackRest stores a segment: its name, the SHA-1 of its content, the suffix of its compression. */
const ARCHIVED_SEGMENT = /(?:^|\/)([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$/;
const HISTORY_FILE = /(?:^|\/)([0-9A-F]{8})\.history$/;
/** A folder of segments: the first sixteen digits of their names. */
const SEGMENT_FOLDER = /^[0-9A-F]{16}$/;
const MOST_PROCESSES = 4;

/** Histories that were read, by place, name and time: they never change, and each costs a process. */
export type KnownHistories = Map<string, TimelineHistory | undefined>;

type Parts = CommandParts & { readonly knownHistories: KnownHistories };

/** What is wanted of the archive of one cluster generation, for example `15-1`. */
interface ArchiveRequest {
  readonly generation: string;
  readonly evidence: readonly SegmentEvidence[];
  /** A segment name: what lies before the folder of this segment is not listed, on no timeline. */
  readonly from?: string;
}

/**
 * Lists the WAL archive of one cluster generation and reads its timeline histories. A listing that fails in the middle throws: what
 * was not listed is unknown, not missing.
 */
export async function readWalArchive(
  parts: Parts,
  repository: RepositorySettings,
  { generation, evidence, from }: ArchiveRequest,
  context: OperationContext,
): Promise<WalArchive> {
  const path = `archive/${parts.settings.stanza}/${generation}`;
  const files =
    from === undefined ? await listFiles(parts, repository, path, context) : await listFrom(parts, repository, { path, from }, context);
  const segments = files.flatMap((file) => archivedSegmentOf(file) ?? []);
  const segmentSizeBytes = segmentSizeOf(
    evidence,
    segments.map(({ name }) => name),
  );
  return {
    segmentSizeBytes,
    ...(from === undefined ? {} : { listedFrom: firstSegmentOfFolder(from, segmentSizeBytes) }),
    ranges: walRangesOf(archivedSegments(segments, segmentSizeBytes)),
    histories: await readHistories(parts, repository, path, files, context),
  };
}

async function listFiles(parts: Parts, repository: RepositorySettings, path: string, context: OperationContext): Promise<ListedFile[]> {
  const argv = repoListArguments(parts.settings, repository.index, path);
  return readRepositoryList(await runReading(parts, argv, { repository }, context)).files;
}

/** The folders that segments of `from` and later are in, whatever their timeline, and what lies beside the folders. */
async function listFrom(
  parts: Parts,
  repository: RepositorySettings,
  { path, from }: { readonly path: string; readonly from: string },
  context: OperationContext,
): Promise<ListedFile[]> {
  const argv = repoListArguments(parts.settings, repository.index, path, { recurse: false });
  const { files, folders } = readRepositoryList(await runReading(parts, argv, { repository }, context));
  const wanted = folders.filter((folder) => SEGMENT_FOLDER.test(folder) && folder.slice(8) >= from.slice(8, 16));
  const listings = await inParallel(wanted, (folder) => listFiles(parts, repository, `${path}/${folder}`, context));
  return [...files, ...listings.flat()];
}

/** The number of the segment of which the folder is named: segments are counted anew in each. */
function firstSegmentOfFolder(name: string, segmentSizeBytes: number): bigint {
  return parseWalSegmentName(`${name.slice(0, 16)}00000000`, segmentSizeBytes).segmentNumber;
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  await Promise.all(
    Array.from({ length: MOST_PROCESSES }, async () => {
      for (const [index, item] of waiting) results[index] = await work(item);
    }),
  );
  return results;
}

function archivedSegmentOf({ name, time }: ListedFile): ListedFile | undefined {
  const segment = ARCHIVED_SEGMENT.exec(name)?.[1];
  if (segment === undefined) return undefined;
  return time === undefined ? { name: segment } : { name: segment, time };
}

function* archivedSegments(segments: readonly ListedFile[], segmentSizeBytes: number): Generator<ArchivedSegment> {
  for (const { name, time } of segments) {
    const parsed = parsedSegment(name, segmentSizeBytes);
    if (parsed !== undefined) yield { ...parsed, ...(time === undefined ? {} : { archivedAt: instantOfSeconds(time) }) };
  }
}

/** Undefined for a name that no segment of this size has, of before a change of the size: no backup of today needs it. */
function parsedSegment(name: string, segmentSizeBytes: number): ReturnType<typeof parseWalSegmentName> | undefined {
  try {
    return parseWalSegmentName(name, segmentSizeBytes);
  } catch {
    return undefined;
  }
}

async function readHistories(
  parts: Parts,
  repository: RepositorySettings,
  path: string,
  files: readonly ListedFile[],
  context: OperationContext,
): Promise<readonly TimelineHistory[]> {
  const histories = await inParallel(
    files.filter(({ name }) => HISTORY_FILE.test(name)),
    async ({ name, time }) => {
      const key = `${repository.name}:${path}/${name}@${time ?? ''}`;
      if (!parts.knownHistories.has(key)) parts.knownHistories.set(key, await readHistory(parts, repository, `${path}/${name}`, context));
      return parts.knownHistories.get(key);
    },
  );
  return histories.filter((history) => history !== undefined).sort((a, b) => a.timeline - b.timeline);
}

async function readHistory(parts: Parts, repository: RepositorySettings, path: string, context: OperationContext) {
  const text = await runReading(parts, repoGetArguments(parts.settings, repository.index, path), { repository }, context);
  return parsedHistory(text, Number.parseInt(HISTORY_FILE.exec(path)?.[1] ?? '', 16));
}

/** Undefined for a file that PostgreSQL would refuse: its timeline counts as one without a history, which nothing is restored along. */
function parsedHistory(text: string, timeline: number): TimelineHistory | undefined {
  try {
    return parseTimelineHistory(text, timelineIdOf(timeline));
  } catch {
    return undefined;
  }
}
