import { randomUUID } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compressTypeOfStored, walFileOfStored } from '../../../domain/native/layout.ts';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { takeFreeName } from '../../common/take-free-name.ts';
import { translating } from '../file-error.ts';
import type { NativeParts } from '../parts.ts';
import { syncDirectory } from '../restore/write-owned.ts';
import { reading, storing, type TransformParts } from '../transform.ts';
import { OtherBytes } from './other-bytes.ts';
import { homeOf, keyOfStored } from './places.ts';
import { areEqual, notSameWhereDamaged } from './same-content.ts';
import { ifThere } from './todo.ts';

const PIECE_BYTES = 1024 * 1024;

/** Of this process, by path: who packs behind and who ships need the same file at the same moment. */
const underWay = new Map<string, Promise<boolean>>();

/**
 * Packs a segment that home holds as it is into the file `stored`, for example `….zst`. What it was packed into is durable, and was read back and
 * compared, before the other goes: killed anywhere, one of them is there, or both. Idempotent; false where home has no such segment. Never
 * overwrites. Throws OtherBytes, DISK_FULL, REFUSED_PRECONDITION, FILE_SYSTEM_FAILED, TOOL_MISSING, TOOL_FAILED, CANCELLED.
 */
export function packSegment(parts: NativeParts, stored: string, context: OperationContext): Promise<boolean> {
  const segment = walFileOfStored(stored);
  if (segment === undefined || !isWalSegmentName(segment) || stored.endsWith('.age')) return Promise.resolve(false);
  const home = homeOf(parts.settings).directory;
  const plain = join(home, keyOfStored(segment));
  const began = underWay.get(plain);
  if (began !== undefined) return began;
  const packing = translating(`pack ${plain}`, () => pack(parts, { home, plain, stored }, context)).finally(() => underWay.delete(plain));
  underWay.set(plain, packing);
  return packing;
}

interface Packing {
  /** The root of all. */
  readonly home: string;
  /** The path of the segment as it is. */
  readonly plain: string;
  /** The name of the packed file. */
  readonly stored: string;
}

async function pack(parts: NativeParts, packing: Packing, context: OperationContext): Promise<boolean> {
  const { home, plain, stored } = packing;
  const facts = await ifThere(lstat(plain), undefined);
  if (facts?.isFile() !== true) return false;
  const packed = join(home, keyOfStored(stored));
  try {
    const isThere = (await ifThere(lstat(packed), undefined)) !== undefined;
    const isOurs = !isThere && (await takeFreeName(await write(parts, packing, facts, context), packed));
    if (!isOurs && !(await isPackedOf(parts, packed, plain, context))) throw new OtherBytes(`${packed} holds other bytes than ${plain}`);
  } catch (thrown) {
    // Another process was faster.
    if ((await ifThere(lstat(plain), undefined)) === undefined) return true;
    throw thrown;
  }
  await syncDirectory(dirname(packed));
  await ifThere(unlink(plain), undefined);
  return true;
}

/** Resolves with the path of a temporary file: whole, durable, read back, with the times of the segment, of the owner of the segment. */
async function write(parts: NativeParts, { home, plain, stored }: Packing, facts: Stats, context: OperationContext): Promise<string> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  await mkdir(join(home, '.tmp'), { recursive: true });
  // spoke-wal-push removes what begins with the number of a process that is no more.
  const temporary = join(home, '.tmp', `${process.pid}.${randomUUID()}.${stored}`);
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      await fill(parts, file, { plain, stored }, context);
      if (process.geteuid?.() === 0) await file.chown(facts.uid, facts.gid);
      await file.utimes(facts.atime, facts.mtime);
      await file.sync();
    } finally {
      await file.close();
    }
    if (await isPackedOf(parts, temporary, plain, context)) return temporary;
    throw new SpokeError('FILE_SYSTEM_FAILED', `${plain} is not what was read back of it once it was packed`);
  } catch (thrown) {
    await unlink(temporary).catch(() => undefined);
    throw thrown;
  }
}

async function fill(
  parts: NativeParts,
  file: FileHandle,
  { plain, stored }: Omit<Packing, 'home'>,
  context: OperationContext,
): Promise<void> {
  const source = createReadStream(plain, { highWaterMark: PIECE_BYTES });
  for await (const piece of storing(withoutKeys(parts), compressTypeOfStored(stored), source, context)) await file.writeFile(piece);
}

function isPackedOf(parts: NativeParts, packed: string, plain: string, context: OperationContext): Promise<boolean> {
  const content = reading(withoutKeys(parts), packed, createReadStream(packed), context);
  return areEqual(content, createReadStream(plain, { highWaterMark: PIECE_BYTES })).catch(notSameWhereDamaged);
}

/** What was stored as it is was not to be encrypted, whatever is wanted by now. */
function withoutKeys({ runner, settings: { compressLevel } }: NativeParts): TransformParts {
  return { runner, settings: { compressLevel } };
}
