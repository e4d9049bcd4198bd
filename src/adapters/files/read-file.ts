import { type FileHandle, open, stat } from 'node:fs/promises';
import { SpokeError } from '../../errors.ts';
import { ifPresent } from '../common/file-error.ts';
import { guarded } from './file-error.ts';

const PIECE_BYTES = 1024 * 1024;

/** A whole file; undefined where there is none. */
export async function readWhole(path: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const handle = await ifPresent(open(path, 'r'));
  if (handle === undefined) return undefined;
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    return await handle.readFile({ signal });
  } finally {
    await handle.close();
  }
}

/** A file as it comes; undefined where there is none. Opened when the first piece is asked for: who never asks holds nothing open. */
export async function openPieces(path: string, what: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
  const found = await ifPresent(stat(path));
  return found?.isFile() === true ? pieces(path, what, signal) : undefined;
}

async function* pieces(path: string, what: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const on = <T>(action: () => Promise<T>) => guarded(`read ${what}`, signal, action);
  const handle = await on(() => open(path, 'r'));
  try {
    const { size } = await on(() => handle.stat());
    let offset = 0;
    for (;;) {
      const piece = await on(() => pieceAt(handle, offset));
      if (piece.length === 0) break;
      offset += piece.length;
      yield piece;
    }
    if (offset < size) throw new SpokeError('REPOSITORY_UNAVAILABLE', `Only ${offset} of ${size} bytes of ${what} could be read.`);
  } finally {
    await handle.close();
  }
}

/** In memory of its own, which the reader may keep. */
async function pieceAt(handle: FileHandle, position: number): Promise<Uint8Array> {
  const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const { bytesRead } = await handle.read(memory, 0, PIECE_BYTES, position);
  return memory.subarray(0, bytesRead);
}
