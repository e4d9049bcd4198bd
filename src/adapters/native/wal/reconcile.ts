import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WAL_PREFIX } from '../../../domain/native/layout.ts';
import type { BlobStore } from '../../../ports/blob-store.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeRepository } from '../settings.ts';
import { homeOf, walFileOfStored } from './places.ts';
import { ifThere, type Todo } from './todo.ts';

const FOLDER = /^[0-9A-F]{16}$/;
const DAY_MS = 86_400_000;

/** Folders of home that a repository was found to hold all of, by the time of their last change. */
export type CompleteFolders = Map<string, number>;

export interface Reconciliation {
  readonly repository: NativeRepository;
  readonly todo: Todo;
  readonly complete: CompleteFolders;
  /** A file that both were seen to have. */
  onThere(stored: string): void;
}

interface HomeFile {
  readonly stored: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/**
 * Finds what home has and a repository has not, and notes it as to be done. Goes by folders of 4 GiB of WAL, and looks again only at those that
 * have changed at home since. What is older than the days that the repository keeps is left alone: it may have been let go there.
 */
export async function reconcile(parts: NativeParts, reconciliation: Reconciliation, signal: AbortSignal): Promise<void> {
  const { repository, complete } = reconciliation;
  const wal = join(homeOf(parts.settings).directory, WAL_PREFIX);
  const oldestMs = Number(parts.clock.now() / 1000n) - repository.retentionDays * DAY_MS;
  const store = await repository.open();
  const entries = await ifThere(readdir(wal, { withFileTypes: true }), []);
  const histories = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  for (const stored of histories) await compareFiles(store, await filesIn(wal, [stored]), `${WAL_PREFIX}${stored}`, oldestMs);
  for (const { name } of entries.filter((entry) => entry.isDirectory() && FOLDER.test(entry.name))) {
    signal.throwIfAborted();
    const changedMs = (await stat(join(wal, name))).mtimeMs;
    if (complete.get(name) === changedMs) continue;
    const files = await filesIn(join(wal, name), await readdir(join(wal, name)));
    if (await compareFiles(store, files, `${WAL_PREFIX}${name}/`, oldestMs)) complete.set(name, changedMs);
  }

  /** Whether the repository has all of them. */
  async function compareFiles(there: BlobStore, files: readonly HomeFile[], prefix: string, notOlderMs: number): Promise<boolean> {
    const sizes = new Map((await there.list(prefix, signal)).map(({ key, sizeBytes }) => [key.slice(key.lastIndexOf('/') + 1), sizeBytes]));
    let isComplete = true;
    for (const { stored, sizeBytes, modifiedMs } of files) {
      const isThere = sizes.get(stored) === sizeBytes;
      if (isThere) reconciliation.onThere(stored);
      if (isThere || modifiedMs < notOlderMs) continue;
      isComplete = false;
      await reconciliation.todo.add(stored);
    }
    return isComplete;
  }
}

async function filesIn(directory: string, names: readonly string[]): Promise<readonly HomeFile[]> {
  const files: HomeFile[] = [];
  for (const stored of names.toSorted()) {
    if (walFileOfStored(stored) === undefined) continue;
    const facts = await ifThere(stat(join(directory, stored)), undefined);
    if (facts?.isFile() === true) files.push({ stored, sizeBytes: facts.size, modifiedMs: facts.mtimeMs });
  }
  return files;
}
