import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type Lsn, parseLsn } from '../../../domain/postgres/lsn.ts';
import { type TimelineId, timelineIdOf } from '../../../domain/postgres/timeline.ts';

/** A stretch of WAL that a backup needs. */
export interface ManifestRange {
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

/** What a backup's manifest says of the whole, its own checksum checked. */
export interface ManifestFacts {
  /** Sum of all files as they are in the backup. */
  readonly fileBytes: bigint;
  /** Oldest first; one, unless the timeline changed meanwhile. */
  readonly ranges: readonly ManifestRange[];
  /** From PostgreSQL 17 on. */
  readonly systemIdentifier?: string;
}

const SIZE = /"Size": (\d+), "Last-Modified"/;
const RANGE = /"Timeline": (\d+), "Start-LSN": "([0-9A-F/]+)", "End-LSN": "([0-9A-F/]+)"/;
const SYSTEM_IDENTIFIER = /^"System-Identifier": (\d+)/;
/** The last line; its value is the SHA-256 of all lines before. */
const CHECKSUM = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\n?$/;

/**
 * Reads a backup_manifest a line at a time: PostgreSQL writes one file a line (basebackup: AddFileToBackupManifest). Throws RangeError where it
 * is not whole or not what its checksum says.
 */
export async function readManifestFacts(path: string): Promise<ManifestFacts> {
  return readManifestStream(createReadStream(path));
}

export async function readManifestStream(bytes: AsyncIterable<Uint8Array>): Promise<ManifestFacts> {
  const hash = createHash('sha256');
  let fileBytes = 0n;
  let systemIdentifier: string | undefined;
  const ranges: ManifestRange[] = [];
  let checksum: string | undefined;
  for await (const line of linesOf(bytes)) {
    if (checksum !== undefined) throw new RangeError('the manifest goes on after its checksum');
    const text = line.toString('utf8');
    checksum = CHECKSUM.exec(text)?.[1];
    if (checksum !== undefined) continue;
    hash.update(line);
    fileBytes += BigInt(SIZE.exec(text)?.[1] ?? 0);
    systemIdentifier ??= SYSTEM_IDENTIFIER.exec(text)?.[1];
    const range = rangeOf(text);
    if (range !== undefined) ranges.push(range);
  }
  if (checksum === undefined) throw new RangeError('the manifest is cut off: it has no checksum');
  if (hash.digest('hex') !== checksum) throw new RangeError('the manifest is not what its checksum says');
  if (ranges.length === 0) throw new RangeError('the manifest names no WAL');
  return { fileBytes, ranges, ...(systemIdentifier === undefined ? {} : { systemIdentifier }) };
}

function rangeOf(text: string): ManifestRange | undefined {
  const [, timeline, start, end] = RANGE.exec(text) ?? [];
  if (timeline === undefined || start === undefined || end === undefined) return undefined;
  return { timeline: timelineIdOf(Number(timeline)), startLsn: parseLsn(start), endLsn: parseLsn(end) };
}

/** Each with its line end. */
async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
      yield rest.subarray(from, end + 1);
      from = end + 1;
    }
    rest = rest.subarray(from);
  }
  if (rest.length > 0) yield rest;
}
