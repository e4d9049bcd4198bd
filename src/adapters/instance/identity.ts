import { lstat } from 'node:fs/promises';
import { SpokeError } from '../../errors.ts';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';

/** device:inode: the same directory under whatever name, as long as it lives. */
export function identityOf(stats: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${stats.dev}:${stats.ino}`;
}

/** What is at `path` itself, symbolic links not followed. */
export type FoundDirectory =
  | { readonly kind: 'absent' }
  | { readonly kind: 'directory'; readonly identity: string }
  | { readonly kind: 'other' };

export async function lookAt(path: string): Promise<FoundDirectory> {
  const stats = await translating(`look at ${path}`, () => ifPresent(lstat(path, { bigint: true })));
  if (stats === undefined) return { kind: 'absent' };
  return stats.isDirectory() ? { kind: 'directory', identity: identityOf(stats) } : { kind: 'other' };
}

export function staleDirectory(path: string, expected: string, found: string): SpokeError {
  return new SpokeError('PLAN_STALE', `${path} is not the directory that was looked at (expected ${expected}, found ${found}).`, {
    details: { path, expected, found },
  });
}
