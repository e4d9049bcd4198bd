import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LONG_HEADER_BYTES, readSegmentHeader } from '../../domain/postgres/wal-page.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import { SpokeError } from '../../errors.ts';
import type { BlobReader } from '../../ports/blob-store.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StageTailRequest, WalStream } from '../../ports/wal-stream.ts';
import type { TailCodec } from './codec.ts';
import { translating } from './file-error.ts';
import { storedKeyOf } from './tail-store.ts';

type Bytes = AsyncIterable<Uint8Array>;

interface StagingParts {
  readonly store: BlobReader;
  readonly codec: TailCodec;
  /** What this machine has received itself; it may have gone further. */
  readonly stream: WalStream;
}

/**
 * Puts streamed segments into a recovering server's pg_wal, each of the length of a segment: what has not come is zeros, where PostgreSQL
 * ends its replay. Whole segments get the note that the archiver goes by, since the archive lacks them: whoever takes the server's place
 * hands them on. Throws BACKUP_DAMAGED where one is missing or not what its name says.
 */
export async function stageTail(parts: StagingParts, request: StageTailRequest, context: OperationContext): Promise<void> {
  const { toDirectory, owner, histories } = request;
  await translating(`stage streamed WAL in ${toDirectory}`, async () => {
    for (const { name, text } of histories) await put(toDirectory, name, owner, (file) => file.writeFile(text));
    const local = await parts.stream.look();
    for (const name of request.segments) {
      const here = local.segments.find((segment) => segment.name === name && String(local.systemIdentifier) === request.systemIdentifier);
      const sources = [async () => here && parts.stream.open(here), () => fromRepository(parts, name, context)];
      const isWhole = await stageSegment(request, name, sources);
      if (isWhole) await put(join(toDirectory, 'archive_status'), `${name}.ready`, owner, () => Promise.resolve());
    }
  });
}

async function fromRepository({ store, codec }: StagingParts, name: string, context: OperationContext): Promise<Bytes | undefined> {
  const key = await storedKeyOf(store, name, context);
  const stored = key === undefined ? undefined : await store.openRead(key, context.signal);
  return key === undefined || stored === undefined ? undefined : codec.read(key, stored, context);
}

/** The longest of what there is. Resolves with whether the segment is whole. */
async function stageSegment(
  request: StageTailRequest,
  name: string,
  sources: readonly (() => Promise<Bytes | undefined>)[],
): Promise<boolean> {
  let longest = -1;
  let isWhole = false;
  for (const open of sources) {
    const source = await open();
    if (source === undefined) continue;
    const temporary = join(request.toDirectory, `.${name}.tail`);
    await rm(temporary, { force: true });
    const written = await write(temporary, request, name, source);
    if (written.bytes <= longest) await rm(temporary, { force: true });
    else await rename(temporary, join(request.toDirectory, name));
    longest = Math.max(longest, written.bytes);
    isWhole ||= written.isWhole;
  }
  if (longest < 0) throw new SpokeError('BACKUP_DAMAGED', `streamed segment ${name} is not in repository ${request.repository} any more`);
  return isWhole;
}

async function write(path: string, { owner, systemIdentifier, repository }: StageTailRequest, name: string, source: Bytes) {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await chownIfRoot(file, owner);
    let bytes = 0;
    for await (const part of source) {
      await file.writeFile(part);
      bytes += part.length;
    }
    const first = new Uint8Array(LONG_HEADER_BYTES);
    await file.read(first, 0, first.length, 0);
    const header = readSegmentHeader(first);
    if (header === undefined || String(header.systemIdentifier) !== systemIdentifier || !startsAt(name, header))
      throw new SpokeError('BACKUP_DAMAGED', `streamed segment ${name} in repository ${repository} is not of this cluster, or is damaged`);
    const isWhole = bytes === header.segmentSizeBytes;
    // Zeros at the end tell nothing: what has not come is a hole in the file.
    await file.truncate(header.segmentSizeBytes);
    await file.sync();
    return { bytes, isWhole };
  } finally {
    await file.close();
  }
}

function startsAt(name: string, { startLsn, segmentSizeBytes }: NonNullable<ReturnType<typeof readSegmentHeader>>): boolean {
  return parseWalSegmentName(name, segmentSizeBytes).segmentNumber * BigInt(segmentSizeBytes) === startLsn;
}

async function put(
  directory: string,
  name: string,
  owner: StageTailRequest['owner'],
  fill: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = join(directory, `.${name}.tail`);
  await rm(temporary, { force: true });
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await chownIfRoot(file, owner);
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, name));
}

async function chownIfRoot(file: FileHandle, { uid, gid }: StageTailRequest['owner']): Promise<void> {
  if (process.getuid?.() === 0) await file.chown(uid, gid);
}
