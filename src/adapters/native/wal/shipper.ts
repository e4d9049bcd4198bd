import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { NativeParts } from '../parts.ts';
import { adoptCluster } from './configuration.ts';
import { Packer } from './packer.ts';
import { destinationsOf, homeOf, isPackedBehind, keyOfStored, sumsOf } from './places.ts';
import { ShipperInto } from './ship-into.ts';
import { forgetPacker, forgetShipper, isShippedByAnother, notePacker, noteShipper } from './shipper-note.ts';
import { ifThere } from './todo.ts';

/** Sums of WAL that PostgreSQL will not offer again. */
const SUMS_KEPT_MS = 30 * 86_400_000;

/**
 * Brings WAL from home into every other repository: what hints tell of, and, where it `reconciles`, what is found missing. That one is there to
 * stay, and packs what archive_command leaves as it is. Until the signal aborts, or one repository has failed for some minutes. Tells
 * spoke-wal-push that it lives. Never throws.
 */
export async function runShipper(parts: NativeParts, { reconciles }: { readonly reconciles: boolean }, signal: AbortSignal): Promise<void> {
  const { settings } = parts;
  const destinations = destinationsOf(settings);
  if (destinations.length === 0 && !reconciles) return;
  const spool = new Spool(parts);
  await noteShipper(settings).catch(() => undefined);
  await adoptCluster(parts, { signal }).catch(() => undefined);
  if (reconciles) await forgetOldSums(parts);
  const ended = new AbortController();
  const end = () => ended.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    await Promise.all([
      ...(reconciles ? [runPacker(parts, ended.signal)] : []),
      ...destinations.map(async (repository) => {
        const into = { repository, reconciles, onThere: (stored: string) => spool.confirm(stored, repository.name) };
        await new ShipperInto(parts, into).run(ended.signal).finally(end);
      }),
    ]);
  } finally {
    signal.removeEventListener('abort', end);
    await forgetShipper(settings);
  }
}

/** archive_command leaves nothing to a packer that has not noted itself. */
async function runPacker(parts: NativeParts, signal: AbortSignal): Promise<void> {
  const { settings } = parts;
  if (isPackedBehind(settings)) await notePacker(settings).catch(() => undefined);
  await new Packer(parts).run(signal).finally(() => forgetPacker(settings));
}

/** Has WAL shipped while `work` goes on, unless a daemon does so already. */
export async function whileShipping<T>(parts: NativeParts, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (await isShippedByAnother(parts.settings)) return work();
  const ended = new AbortController();
  const shipping = runShipper(parts, { reconciles: false }, AbortSignal.any([signal, ended.signal]));
  try {
    return await work();
  } finally {
    ended.abort();
    await shipping;
  }
}

/** Where home is a spool, what every repository has leaves it. */
class Spool {
  readonly #parts: NativeParts;
  readonly #confirmed = new Map<string, Set<RepositoryName>>();

  constructor(parts: NativeParts) {
    this.#parts = parts;
  }

  async confirm(stored: string, repository: RepositoryName): Promise<void> {
    const { settings } = this.#parts;
    if (homeOf(settings).repository !== undefined) return;
    const confirmed = this.#confirmed.get(stored) ?? new Set();
    this.#confirmed.set(stored, confirmed.add(repository));
    if (!destinationsOf(settings).every(({ name }) => confirmed.has(name))) return;
    this.#confirmed.delete(stored);
    const path = join(homeOf(settings).directory, keyOfStored(stored));
    if (stored.endsWith('.age')) await this.#noteShipped(stored, path);
    await ifThere(unlink(path), undefined);
  }

  /** So that the same segment, offered again, is recognised although nothing here can decrypt what was stored. */
  async #noteShipped(stored: string, path: string): Promise<void> {
    const hash = createHash('sha256');
    for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
    const folder = keyOfStored(stored).split('/').at(-2) ?? '';
    await appendFile(join(sumsOf(this.#parts.settings), folder), `\n${stored} shipped ${hash.digest('hex')}\n`);
  }
}

async function forgetOldSums({ settings, clock }: NativeParts): Promise<void> {
  const oldestMs = Number(clock.now() / 1000n) - SUMS_KEPT_MS;
  const directory = sumsOf(settings);
  for (const name of await readdir(directory).catch(() => [])) {
    const facts = await ifThere(stat(join(directory, name)), undefined);
    if (facts !== undefined && facts.mtimeMs < oldestMs) await ifThere(unlink(join(directory, name)), undefined);
  }
}
