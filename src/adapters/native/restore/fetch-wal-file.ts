import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { walFolder } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
import type { BlobReader } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { reading, type TransformParts } from '../transform.ts';

/** All that a WAL file may be called where it is stored, behind its name; as it is, it is about to be packed. */
const SUFFIXES = ['.zst', '.lz4', '.zst.age', '.lz4.age', ''];
/** What is packed meanwhile changes its name once: who looks a second time finds one of them. */
const LOOKS = 2;

/** Where a segment's first page says how long segments are: xlp_seg_size of XLogLongPageHeaderData (xlog_internal.h). */
const SEGMENT_SIZE_OFFSET = 32;
const LONG_HEADER_BYTES = 40;

export interface WalSource {
  readonly store: BlobReader;
  /** Whom the file shall belong to, where we are root. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** What fetches WAL files of one repository. It remembers under what suffix they were found. */
export interface WalFetcher {
  /**
   * Brings a file to `path`, where none is yet; undefined where the repository has none of that name. What is not whole is not left there.
   * Resolves with its size. Throws BACKUP_DAMAGED, SECRET_UNAVAILABLE, DISK_FULL, REPOSITORY_*, CANCELLED.
   */
  fetch(name: string, path: string, context: OperationContext): Promise<number | undefined>;
}

export function createWalFetcher(parts: TransformParts, source: WalSource): WalFetcher {
  let usual = SUFFIXES[0] ?? '';
  return {
    async fetch(name, path, context) {
      const begin = `${walFolder(name)}${name}`;
      const found = (await openUnder(`${begin}${usual}`)) ?? (await lookFor(LOOKS));
      if (found === undefined) return undefined;
      await writeTo(path, reading(parts, found.key, found.stored, context), source.owner);
      return requireSize(name, found.key, path, source);

      async function openUnder(key: string) {
        const stored = await source.store.openRead(key, context.signal);
        return stored === undefined ? undefined : { key, stored };
      }

      /** A suffix that was never seen, or no such file at all: a listing tells. */
      async function lookFor(looks: number): ReturnType<typeof openUnder> {
        const keys = (await source.store.list(begin, context.signal)).map(({ key }) => key);
        const suffix = SUFFIXES.find((one) => keys.includes(`${begin}${one}`));
        const opened = suffix === undefined ? undefined : await openUnder(`${begin}${suffix}`);
        if (opened === undefined) return looks > 1 ? lookFor(looks - 1) : undefined;
        if (suffix !== '') usual = suffix ?? usual;
        return opened;
      }
    },
  };
}

async function writeTo(path: string, content: AsyncIterable<Uint8Array>, owner: WalSource['owner']): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    if (owner !== undefined && process.geteuid?.() === 0) await file.chown(owner.uid, owner.gid);
    for await (const piece of content) await file.writeFile(piece);
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

/** Every frame has a checksum; but one of something else would have a right one, too. Resolves with the size. */
async function requireSize(name: string, key: string, path: string, { store }: WalSource): Promise<number> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONG_HEADER_BYTES), 0, LONG_HEADER_BYTES, 0);
    const isWhole = !isWalSegmentName(name) || (bytesRead === LONG_HEADER_BYTES && isSizeIn(buffer, size));
    if (size > 0 && isWhole) return size;
    await rm(path, { force: true });
    throw new SpokeError('BACKUP_DAMAGED', `${key} in ${store.place} is damaged: it has ${size} bytes when it is unpacked`, {
      details: { object: key },
    });
  } finally {
    await file.close();
  }
}

/** In the byte order of the machine that wrote it: a server reads no WAL of another order. */
function isSizeIn(header: Buffer, size: number): boolean {
  return header.readUInt32LE(SEGMENT_SIZE_OFFSET) === size || header.readUInt32BE(SEGMENT_SIZE_OFFSET) === size;
}
