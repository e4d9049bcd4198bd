import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lsnOf } from '../../domain/postgres/lsn.ts';
import { parseTimelineHistory, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import type { RecordedWal, SegmentHeader } from '../../domain/postgres/wal-page.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import type { LocalSegment, LocalWal } from '../../domain/streaming/local-wal.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type { Clock } from '../../ports/clock.ts';
import { ifPresent } from '../common/file-error.ts';
import { chunk, readOwnHeader, readRecorded } from '../common/wal-file.ts';

const SEGMENT_FILE = /^([0-9A-F]{24})(\.partial)?$/;
const HISTORY_FILE = /^([0-9A-F]{8})\.history$/;

/** What is known of a file from an earlier look: only what has come since is read. */
interface Known {
  readonly inode: bigint;
  readonly header: SegmentHeader;
  readonly pagesBytes: number;
  readonly writtenBytes: number;
  readonly recorded: RecordedWal;
}

interface Places {
  readonly incoming: string;
  readonly aside: string;
  readonly clock: Clock;
}

/** Looks again and again at what is received. */
export function createLook({ incoming, aside, clock }: Places): { look(): Promise<LocalWal>; placeOf(name: string): string | undefined } {
  const known = new Map<string, Known>();
  let places: ReadonlyMap<string, string> = new Map();
  return {
    placeOf: (name) => places.get(name),
    async look() {
      const at = clock.now();
      const files = [...(await listed(aside)).filter(({ name }) => !name.endsWith('.partial')), ...(await listed(incoming))];
      const segments: { segment: LocalSegment; header: SegmentHeader }[] = [];
      const found = new Map<string, string>();
      for (const { directory, name } of files) {
        const seen = SEGMENT_FILE.test(name) ? await ifPresent(lookAt(join(directory, name), name, known)) : undefined;
        if (seen === undefined) continue;
        found.set(seen.segment.name, join(directory, name));
        segments.push(seen);
      }
      places = found;
      for (const path of known.keys()) if (!files.some(({ directory, name }) => join(directory, name) === path)) known.delete(path);
      const newest = segments.at(-1)?.header;
      const own = new Map(segments.map(({ segment }) => [segment.name, segment]));
      return {
        at,
        ...(newest === undefined ? {} : { systemIdentifier: newest.systemIdentifier, segmentSizeBytes: newest.segmentSizeBytes }),
        segments: [...own.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1)),
        histories: await histories(files),
      };
    },
  };
}

async function listed(directory: string): Promise<readonly { readonly directory: string; readonly name: string }[]> {
  const names = (await ifPresent(readdir(directory))) ?? [];
  return names.sort().map((name) => ({ directory, name }));
}

async function histories(files: Awaited<ReturnType<typeof listed>>): Promise<readonly TimelineHistory[]> {
  const found: TimelineHistory[] = [];
  for (const { directory, name } of files) {
    const timeline = HISTORY_FILE.exec(name)?.[1];
    const text = timeline === undefined ? undefined : await ifPresent(readFile(join(directory, name), 'utf8'));
    if (timeline === undefined || text === undefined) continue;
    try {
      found.push(parseTimelineHistory(text, timelineIdOf(Number.parseInt(timeline, 16))));
    } catch {
      // Being written just now: the next look finds it whole.
    }
  }
  return found;
}

async function lookAt(
  path: string,
  fileName: string,
  known: Map<string, Known>,
): Promise<{ segment: LocalSegment; header: SegmentHeader } | undefined> {
  const file = await open(path, 'r');
  try {
    const { ino, mtimeNs, size } = await file.stat({ bigint: true });
    const earlier = known.get(path);
    const before = earlier?.inode === ino ? earlier : undefined;
    const name = fileName.slice(0, 24);
    const header = before?.header ?? (await readOwnHeader(file, name));
    if (header === undefined) return undefined;
    const isWhole = !fileName.endsWith('.partial');
    const common = { ...parseWalSegmentName(name, header.segmentSizeBytes), name, writtenAt: instantOfMicros(mtimeNs / 1000n) };
    if (isWhole) return { header, segment: { ...common, isWhole, writtenBytes: Number(size), endLsn: lsnOf(header.startLsn + size) } };
    const now = await received(file, header, before);
    known.set(path, { inode: ino, ...now });
    const { endOffset, lastRecordOffset } = now.recorded;
    const last = lastRecordOffset === undefined ? {} : { lastRecordLsn: lsnOf(header.startLsn + BigInt(lastRecordOffset)) };
    return {
      header,
      segment: { ...common, isWhole, writtenBytes: now.writtenBytes, endLsn: lsnOf(header.startLsn + BigInt(endOffset)), ...last },
    };
  } finally {
    await file.close();
  }
}

async function received(file: FileHandle, header: SegmentHeader, before: Known | undefined): Promise<Omit<Known, 'inode'>> {
  const { pagesBytes, recorded } = await readRecorded(file, header, before);
  // After the walk: the last page goes on being filled, and what is said to be there must be among what is written.
  const lastPage = Math.max(0, pagesBytes - header.pageBytes);
  const writtenBytes = lastPage + lastByte(await chunk(file, lastPage, pagesBytes - lastPage));
  return { header, pagesBytes, writtenBytes, recorded };
}

function lastByte(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
