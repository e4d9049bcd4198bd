import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { replaceFile } from './durable-files.ts';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Whatever the source's mode, others get nothing. */
const KEPT_MODE_BITS = 0o750;

/** Copies plain files into an existing directory, each under a temporary name until it is whole and durable. */
export async function copyFiles(
  from: string,
  to: string,
  names: readonly string[],
  owner: FileOwner,
  context: OperationContext,
): Promise<void> {
  const progress = { doneBytes: 0n };
  for (const name of names) {
    requirePlainName(name);
    await translating(`copy ${join(from, name)} to ${to}`, () => copyFile(join(from, name), join(to, name), owner, context, progress));
  }
}

async function copyFile(
  source: string,
  destination: string,
  owner: FileOwner,
  context: OperationContext,
  progress: { doneBytes: bigint },
): Promise<void> {
  throwIfStopped(context);
  const input = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const stats = await input.stat();
    if (!stats.isFile()) throw new SpokeError('REFUSED_PRECONDITION', `${source} is not a plain file.`);
    const existing = await ifPresent(lstat(destination));
    if (existing?.isFile() && existing.size === stats.size) return;
    await replaceFile(destination, owner, stats.mode & KEPT_MODE_BITS, async (output) => {
      await pump(input, output, context, (bytes) => {
        progress.doneBytes += BigInt(bytes);
        context.onProgress?.({ phase: 'copy', doneBytes: progress.doneBytes, position: source });
      });
    });
  } finally {
    await input.close();
  }
}

async function pump(input: FileHandle, output: FileHandle, context: OperationContext, onBytes: (bytes: number) => void): Promise<void> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    throwIfStopped(context);
    const { bytesRead } = await input.read(buffer, 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    await output.writeFile(buffer.subarray(0, bytesRead));
    onBytes(bytesRead);
  }
}

function throwIfStopped(context: OperationContext): void {
  if (!context.signal.aborted) return;
  if (context.signal.reason instanceof SpokeError) throw context.signal.reason;
  throw new SpokeError('CANCELLED', 'Copying files was cancelled.');
}

function requirePlainName(name: string): void {
  const isPlain = name !== '' && !name.includes('\0') && !name.startsWith('/') && normalize(name) === name && !name.startsWith('..');
  if (!isPlain) throw new SpokeError('INTERNAL', `"${name}" is not the name of a file inside a directory`);
}
