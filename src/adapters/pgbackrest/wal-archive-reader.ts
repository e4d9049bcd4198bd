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
const MOST_PROCESSES = 4;

/**
 * Lists the WAL archive of one cluster generation, for example `15-1`, and reads its timeline histories. A listing that fails
 * in the middle throws: what was not listed is unknown, not missing.
 */
export async function readWalArchive(
  parts: CommandParts,
  repository: RepositorySettings,
  generation: string,
  evidence: readonly SegmentEvidence[],
  context: OperationContext,
): Promise<WalArchive> {
  const path = `archive/${parts.settings.stanza}/${generation}`;
  const about = { repository };
  const files = readRepositoryList(await runReading(parts, repoListArguments(parts.settings, repository.index, path), about, context));
  const segments = files.flatMap((file) => archivedSegmentOf(file) ?? []);
  const segmentSizeBytes = segmentSizeOf(
    evidence,
    segments.map(({ name }) => name),
  );
  return {
    segmentSizeBytes,
    ranges: walRangesOf(archivedSegments(segments, segmentSizeBytes)),
    histories: await readHistories(parts, repository, path, files, context),
  };
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
  parts: CommandParts,
  repository: RepositorySettings,
  path: string,
  files: readonly ListedFile[],
  context: OperationContext,
): Promise<readonly TimelineHistory[]> {
  const names = files.map(({ name }) => name).filter((name) => HISTORY_FILE.test(name));
  const histories: TimelineHistory[] = [];
  const read = async (name: string) => {
    const argv = repoGetArguments(parts.settings, repository.index, `${path}/${name}`);
    const text = await runReading(parts, argv, { repository }, context);
    const history = parsedHistory(text, Number.parseInt(HISTORY_FILE.exec(name)?.[1] ?? '', 16));
    if (history !== undefined) histories.push(history);
  };
  const waiting = names.values();
  await Promise.all(
    Array.from({ length: MOST_PROCESSES }, async () => {
      for (const name of waiting) await read(name);
    }),
  );
  return histories.sort((a, b) => a.timeline - b.timeline);
}

/** Undefined for a file that PostgreSQL would refuse: its timeline counts as one without a history, which nothing is restored along. */
function parsedHistory(text: string, timeline: number): TimelineHistory | undefined {
  try {
    return parseTimelineHistory(text, timelineIdOf(timeline));
  } catch {
    return undefined;
  }
}
