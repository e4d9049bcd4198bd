import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { storedSuffix, WAL_PREFIX, walFileOfStored } from '../../../domain/native/layout.ts';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { BlobStore } from '../../../ports/blob-store.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeRepository } from '../settings.ts';
import { homeOf, reconciledNoteOf } from './places.ts';
import { ifThere, type Todo } from './todo.ts';

const FOLDER = /^[0-9A-F]{16}$/;
const DAY_MS = 86_400_000;
/** A file gets its name later than its time, and a clock may be set. */
const SLACK_MS = 3_600_000;

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
  /** As a repository will have it: what home holds as it is gets packed first. */
  readonly stored: string;
  /** Undefined where that is not known yet. */
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number;
}

/**
 * Finds what home has and a repository has not, and notes it as to be done. Goes by folders of 4 GiB of WAL, and looks again only at those that
 * have changed at home since. What is older than the days that the repository keeps is left alone where it was seen to have it: it may have been
 * let go there. What came to home since then is missing however old it is, so that an outage that outlasts those days leaves no hole.
 */
export async function reconcile(parts: NativeParts, reconciliation: Reconciliation, signal: AbortSignal): Promise<void> {
  const { repository, complete } = reconciliation;
  const wal = join(homeOf(parts.settings).directory, WAL_PREFIX);
  const nowMs = Number(parts.clock.now() / 1000n);
  const note = reconciledNoteOf(parts.settings, repository.name);
  const oldestMs = Math.min(nowMs - repository.retentionDays * DAY_MS, await readSeenMs(note));
  let seenMs = nowMs;
  const store = await repository.open();
  const homeFiles = (directory: string, names: readonly string[]) =>
    filesIn(directory, names, storedSuffix(parts.settings.compressType, false));
  const entries = await ifThere(readdir(wal, { withFileTypes: true }), []);
  const histories = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  for (const stored of histories) await compareFiles(store, await homeFiles(wal, [stored]), `${WAL_PREFIX}${stored}`, oldestMs);
  for (const { name } of entries.filter((entry) => entry.isDirectory() && FOLDER.test(entry.name))) {
    signal.throwIfAborted();
    const changedMs = (await stat(join(wal, name))).mtimeMs;
    if (complete.get(name) === changedMs) continue;
    const files = await homeFiles(join(wal, name), await readdir(join(wal, name)));
    if (await compareFiles(store, files, `${WAL_PREFIX}${name}/`, oldestMs)) complete.set(name, changedMs);
  }
  // Where it cannot be written the earlier one counts, and more is looked at.
  await writeFile(note, `${Math.floor(seenMs - SLACK_MS)}\n`).catch(() => undefined);

  /** Whether the repository has all of them. */
  async function compareFiles(there: BlobStore, files: readonly HomeFile[], prefix: string, notOlderMs: number): Promise<boolean> {
    const sizes = new Map((await there.list(prefix, signal)).map(({ key, sizeBytes }) => [key.slice(key.lastIndexOf('/') + 1), sizeBytes]));
    let isComplete = true;
    for (const { stored, sizeBytes, modifiedMs } of files) {
      const isThere = sizeBytes !== undefined && sizes.get(stored) === sizeBytes;
      if (isThere) reconciliation.onThere(stored);
      if (isThere || modifiedMs < notOlderMs) continue;
      isComplete = false;
      seenMs = Math.min(seenMs, modifiedMs);
      await reconciliation.todo.add(stored);
    }
    return isComplete;
  }
}

/** Infinity where nothing is known. */
async function readSeenMs(note: string): Promise<number> {
  const text = await readFile(note, 'utf8').catch(() => '');
  return /^\d+\n$/.test(text) ? Number(text) : Infinity;
}

/** `suffix`: of what home holds as it is, once it is packed. */
async function filesIn(directory: string, names: readonly string[], suffix: string): Promise<readonly HomeFile[]> {
  const files: HomeFile[] = [];
  for (const name of names.toSorted()) {
    if (walFileOfStored(name) === undefined) continue;
    const facts = await ifThere(stat(join(directory, name)), undefined);
    if (facts?.isFile() !== true) continue;
    const isPacked = !isWalSegmentName(name);
    files.push({
      ...{ stored: isPacked ? name : `${name}${suffix}`, sizeBytes: isPacked ? facts.size : undefined },
      modifiedMs: facts.mtimeMs,
    });
  }
  return files;
}
