import type { ZstdCompress, ZstdDecompress } from 'node:zlib';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { damaged } from './damaged.ts';

/** Larger than Node's own: fewer turns between the threads that compress and ours. */
const CHUNK_BYTES = 128 * 1024;

/** One frame, with a content checksum. */
export async function* compressZstd(
  level: number,
  source: AsyncIterable<Uint8Array>,
  context: OperationContext,
): AsyncGenerator<Uint8Array> {
  const { constants, createZstdCompress } = await import('node:zlib');
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  yield* through(createZstdCompress({ chunkSize: CHUNK_BYTES, params }), source, context);
}

/** Throws BACKUP_DAMAGED for anything but one whole frame and nothing behind it. */
export async function* decompressZstd(
  name: string,
  source: AsyncIterable<Uint8Array>,
  context: OperationContext,
): AsyncGenerator<Uint8Array> {
  const { createZstdDecompress } = await import('node:zlib');
  const decompress = createZstdDecompress({ chunkSize: CHUNK_BYTES });
  try {
    yield* through(decompress, source, context, (cameBytes) => {
      // It stops at the end of a frame, and says nothing of what follows.
      if (decompress.bytesWritten !== cameBytes) throw damaged(name, 'decompressed', 'something follows the end of its frame');
    });
  } catch (thrown) {
    throw isOfZlib(thrown) ? damaged(name, 'decompressed', thrown.message, thrown) : thrown;
  }
}

/** `afterEach`: called with the count of the bytes that came, when they have been worked on; what it throws ends all. */
async function* through(
  transform: ZstdCompress | ZstdDecompress,
  source: AsyncIterable<Uint8Array>,
  { signal }: OperationContext,
  afterEach: (cameBytes: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const cancel = () => transform.destroy(cancellation(signal));
  if (signal.aborted) throw cancellation(signal);
  signal.addEventListener('abort', cancel, { once: true });
  // Whoever reads it sees why it was destroyed; nobody may be reading any more.
  transform.on('error', () => {});
  const fed = feed(transform, source, afterEach).catch((thrown: unknown) => {
    transform.destroy(thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown }));
  });
  try {
    yield* transform.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    await fed;
    if (transform.errored) throw transform.errored;
  } finally {
    signal.removeEventListener('abort', cancel);
    transform.destroy();
    await fed;
  }
}

/** One chunk at a time: told of the end while chunks are waiting, Node ends the frame with the last of them and adds an empty one. */
async function feed(
  transform: ZstdCompress | ZstdDecompress,
  source: AsyncIterable<Uint8Array>,
  afterEach: (cameBytes: number) => void,
): Promise<void> {
  let cameBytes = 0;
  for await (const chunk of source) {
    await write(transform, chunk);
    cameBytes += chunk.length;
    afterEach(cameBytes);
  }
  transform.end();
}

/** Resolves when the chunk was worked on. Closed meanwhile, Node would never say so. */
function write(transform: ZstdCompress | ZstdDecompress, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(transform.errored ?? new Error('The stream was closed.'));
    transform.once('close', onClose);
    transform.write(chunk, (error) => {
      transform.off('close', onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}

function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'The run was cancelled.', { cause: signal.reason });
}

function isOfZlib(thrown: unknown): thrown is Error {
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  return typeof code === 'string' && /^(ZSTD|Z)_/.test(code);
}
