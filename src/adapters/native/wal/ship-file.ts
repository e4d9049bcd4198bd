import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import type { BlobStore } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { createMemoryPool } from '../../common/memory-pool.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeRepository } from '../settings.ts';
import { homeOf, keyOfStored } from './places.ts';
import { isSameContent } from './same-content.ts';
import { ifThere } from './todo.ts';

/** What is larger is not read into memory as a whole. */
const MOST_IN_MEMORY_BYTES = 33 * 1024 * 1024;

/** Other bytes are there under the name of a file: nothing is overwritten, somebody has to look. */
export class OtherBytes extends SpokeError {
  constructor(repository: NativeRepository, key: string, place: string) {
    super('REFUSED_PRECONDITION', `repository ${repository.name} holds other bytes as ${key} than ${place}`, {
      hint: 'Two servers archive into one place, or one was set back: find out which, before anything is removed.',
    });
  }
}

/**
 * Copies a file from home into a repository, byte for byte, and resolves once it is durable there. What is there already is compared. `gone`
 * where home does not have it any more. Throws OtherBytes, REPOSITORY_UNAVAILABLE, REPOSITORY_DENIED, DISK_FULL, CANCELLED.
 */
export async function shipFile(
  parts: NativeParts,
  repository: NativeRepository,
  stored: string,
  context: OperationContext,
): Promise<'shipped' | 'there' | 'gone'> {
  const key = keyOfStored(stored);
  const path = join(homeOf(parts.settings).directory, key);
  const facts = await ifThere(stat(path), undefined);
  if (facts === undefined) return 'gone';
  const store = await repository.open();
  if (await isThere(store, key, context)) return compare();
  if (facts.size > MOST_IN_MEMORY_BYTES) await store.writeStream(key, createReadStream(path), context.signal);
  else if (!(await withContent(path, facts.size, (content) => store.writeNew(key, content, context.signal)))) {
    // Another host was faster, or the answer to the first try was lost.
    if (await isThere(store, key, context)) return compare();
    throw new SpokeError('REPOSITORY_UNAVAILABLE', `repository ${repository.name} is taking ${key} from another host`);
  }
  return 'shipped';

  async function compare(): Promise<'there'> {
    const sources = [() => createReadStream(path), () => pieces(store, key, context.signal)] as const;
    if (await isSameContent(parts, stored, sources, context).catch(notSameWhereDamaged)) return 'there';
    throw new OtherBytes(repository, key, path);
  }
}

/** Of segments that were sent. */
const memory = createMemoryPool();

async function withContent<T>(path: string, length: number, use: (content: Uint8Array) => Promise<T>): Promise<T> {
  const content = memory.take(length);
  await readExactly(path, content);
  const result = await use(content);
  // After a failure somebody may still be sending it.
  memory.give(content);
  return result;
}

async function readExactly(path: string, content: Uint8Array): Promise<void> {
  const handle = await open(path);
  try {
    for (let filled = 0; filled < content.length; ) {
      const { bytesRead } = await handle.read(content, filled);
      if (bytesRead === 0) throw new SpokeError('FILE_SYSTEM_FAILED', `${path} became shorter while it was read`);
      filled += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

async function isThere(store: BlobStore, key: string, { signal }: OperationContext): Promise<boolean> {
  return (await store.list(key, signal)).some((found) => found.key === key);
}

function notSameWhereDamaged(thrown: unknown): boolean {
  if (thrown instanceof SpokeError && thrown.code === 'BACKUP_DAMAGED') return false;
  throw thrown;
}

async function* pieces(store: BlobStore, key: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield* (await store.openRead(key, signal)) ?? [];
}
