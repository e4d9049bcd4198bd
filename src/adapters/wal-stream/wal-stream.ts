import { chmod, chown, type FileHandle, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TailSegment, WalTail } from '../../domain/catalog/wal-tail.ts';
import type { LocalSegment, LocalWal } from '../../domain/streaming/local-wal.ts';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import type { ReceiverEnd, WalStream } from '../../ports/wal-stream.ts';
import { receiverConnection } from './connection.ts';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { createLook } from './look.ts';
import { endStrayReceivers } from './strays.ts';

/** setTimeout takes no more, and nobody streams for so long without a new version. */
const FOR_EVER_MS = 2 ** 31 - 1;
const STATUS_SECONDS = 5;
const READ_BYTES = 256 * 1024;
/** What the server says where it cannot go on from where we are (walsender.c: StartReplication; xlogreader: a segment that was removed). */
const POSITION_GONE =
  /requested WAL segment \S+ has already been removed|requested starting point .* is (?:not in|ahead of)|history of timeline|invalidated/;

export interface WalStreamParts {
  /** Of this cluster alone: `<stateDirectory>/wal-stream/<cluster>`. */
  readonly directory: string;
  /** As whom pg_receivewal runs and whom the files belong to, where we are root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly applicationName: string;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  /** Where pg_receivewal of that major version is, or of a newer one. */
  programOf(postgresMajor: number, context: OperationContext): Promise<string>;
}

/** pg_receivewal and its directory: `incoming` is its own, `aside` holds what it must not see any more. */
export function createWalStream(parts: WalStreamParts): WalStream {
  const incoming = join(parts.directory, 'incoming');
  const aside = join(parts.directory, 'aside');
  const look = createLook({ incoming, aside, clock: parts.clock });
  const placeOf = (name: string) => look.placeOf(name) ?? join(incoming, name);
  return {
    endStrays: (context) => endStrayReceivers(incoming, parts.clock, context),
    receive: (request, context) => receive(parts, incoming, request, context),
    look: () => translating(`look at ${incoming}`, () => look.look()),
    open: ({ name, writtenBytes }) =>
      translating(`read ${name}`, () => openSegment([placeOf(name), join(incoming, name), join(aside, name)], writtenBytes)),
    pathOf: placeOf,
    discard: (names) =>
      translating(`remove received WAL from ${parts.directory}`, async () => {
        for (const name of names) for (const place of [incoming, aside]) await rm(join(place, name), { force: true });
      }),
    setAside: () =>
      translating(`put received WAL aside in ${parts.directory}`, async () => {
        await makeOwned(aside, parts);
        for (const name of (await ifPresent(readdir(incoming))) ?? []) await rename(join(incoming, name), join(aside, name));
      }),
  };
}

async function receive(
  parts: WalStreamParts,
  incoming: string,
  { address, slot, postgresMajor, walSegmentSizeBytes }: Parameters<WalStream['receive']>[0],
  context: OperationContext,
): Promise<ReceiverEnd> {
  const { runner, user, directory } = parts;
  const { dbname, passwordFileText } = receiverConnection(address, parts.applicationName);
  const passwordFile = join(directory, 'passfile');
  await translating(`prepare ${incoming}`, async () => {
    await makeOwned(incoming, parts);
    await writeSecret(passwordFile, passwordFileText, parts);
    await removeUnfilled(incoming, walSegmentSizeBytes);
  });
  const said: string[] = [];
  const { exitCode, stderrTail } = await runner.run({
    file: await parts.programOf(postgresMajor, context),
    argv: [
      `--directory=${incoming}`,
      `--slot=${slot}`,
      `--dbname=${dbname}`,
      '--no-loop',
      '--no-password',
      `--status-interval=${STATUS_SECONDS}`,
    ],
    environment: { PGPASSFILE: passwordFile },
    signal: context.signal,
    timeoutMs: FOR_EVER_MS,
    onLine: (line) => {
      if (line.trim() !== '') said.splice(0, said.length, line.trim());
    },
    ...(user === undefined ? {} : { user }),
  });
  const message = said.at(-1) ?? `pg_receivewal ended with ${exitCode}`;
  return { kind: POSITION_GONE.test(stderrTail) ? 'position gone' : 'ended', message };
}

/**
 * A receiver fills a new file with zeros before it writes to it. What one that was killed just then has left the next one refuses for ever
 * ("has 524288 bytes, should be 0 or 16777216", receivelog.c), and no WAL is in it.
 */
async function removeUnfilled(incoming: string, walSegmentSizeBytes: number): Promise<void> {
  for (const name of await readdir(incoming)) {
    if (!name.endsWith('.partial')) continue;
    const { size } = await stat(join(incoming, name));
    if (size !== walSegmentSizeBytes) await rm(join(incoming, name));
  }
}

/** From the first of the places where it is: it may have become whole, or have been put aside, since it was looked at. */
async function openSegment(places: readonly string[], bytes: number): Promise<AsyncIterable<Uint8Array> | undefined> {
  for (const place of places) {
    const file = await ifPresent(open(place, 'r'));
    if (file !== undefined) return contentOf(file, bytes);
  }
  return undefined;
}

async function* contentOf(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  try {
    for (let offset = 0; offset < bytes; ) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(READ_BYTES, bytes - offset)), { position: offset });
      if (bytesRead === 0) throw new SpokeError('FILE_SYSTEM_FAILED', `a streamed segment has ${offset} bytes and not ${bytes}`);
      yield buffer.subarray(0, bytesRead);
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** 0700, with directories above that let its owner pass. */
async function makeOwned(path: string, { user, directory }: WalStreamParts): Promise<void> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o711 });
  for (const each of [directory, path]) {
    await mkdir(each, { recursive: true, mode: 0o700 });
    await chmod(each, 0o700);
    if (user !== undefined && process.getuid?.() === 0) await chown(each, user.uid, user.gid);
  }
}

async function writeSecret(path: string, text: string, { user }: WalStreamParts): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  if (user !== undefined && process.getuid?.() === 0) await chown(path, user.uid, user.gid);
}

/** What this machine has received itself; undefined where it has nothing. */
export function localTail({ systemIdentifier, segmentSizeBytes, segments, histories }: LocalWal): WalTail | undefined {
  const newest = segments.at(-1);
  if (newest === undefined || systemIdentifier === undefined || segmentSizeBytes === undefined) return undefined;
  const at = segments.reduce((latest, { writtenAt }) => (writtenAt > latest ? writtenAt : latest), newest.writtenAt);
  return { systemIdentifier, segmentSizeBytes, histories, at, segments: segments.map(tailSegmentOf) };
}

function tailSegmentOf({ timeline, segmentNumber, isWhole, endLsn, lastRecordLsn }: LocalSegment): TailSegment {
  if (isWhole) return { timeline, segmentNumber };
  return { timeline, segmentNumber, endLsn, ...(lastRecordLsn === undefined ? {} : { lastRecordLsn }) };
}
