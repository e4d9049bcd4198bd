import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import type { NativeSettings } from '../../../src/adapters/native/settings.ts';
import { archiveSegment } from '../../../src/adapters/native/wal/archive-segment.ts';
import { awaitWal } from '../../../src/adapters/native/wal/await-wal.ts';
import { readHeldWal } from '../../../src/adapters/native/wal/held-wal.ts';
import { readPushErrors } from '../../../src/adapters/native/wal/push-errors.ts';
import { reconcile } from '../../../src/adapters/native/wal/reconcile.ts';
import { runShipper } from '../../../src/adapters/native/wal/shipper.ts';
import { createTodo } from '../../../src/adapters/native/wal/todo.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { BlobStore } from '../../../src/ports/blob-store.ts';
import { createPlace, MEBIBYTE, type PlaceOptions, type PushPlace, segmentBytes, writeCluster } from './wal-push-harness.ts';

const FOLDER = '0000000100000002';
const name = (index: number) => `${FOLDER}${index.toString(16).toUpperCase().padStart(8, '0')}`;
const stored = (index: number) => `wal/${FOLDER}/${name(index)}.zst`;
const DAY_MS = 86_400_000;

/** Directories in place of buckets, and the shipper as the daemon runs it. */
class Shipping {
  readonly place: PushPlace;
  readonly parts: NativeParts;
  /** What a remote store does instead of writing, by its name. */
  readonly faults = new Map<string, () => void>();
  readonly calls: string[] = [];
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  private constructor(place: PushPlace) {
    this.place = place;
    const repositories = place.settings.repositories.map((repository) => ({
      ...repository,
      open: () => Promise.resolve(this.#store(repository.name)),
    }));
    const settings: NativeSettings = { ...place.settings, repositories };
    this.parts = { settings, runner: createProcessRunner(), clock: createSystemClock() } as unknown as NativeParts;
  }

  static async create(options: PlaceOptions): Promise<Shipping> {
    const place = await createPlace(options);
    for (const { name: repository } of place.settings.repositories) await writeCluster(place.rootOf(repository));
    const made = new Shipping(place);
    all.push(made);
    return made;
  }

  #store(repository: RepositoryName): BlobStore {
    const store = createFileBlobStore({ directory: this.place.rootOf(repository) });
    const asked = (call: string) => {
      this.calls.push(`${repository} ${call}`);
      this.faults.get(repository)?.();
    };
    return {
      ...store,
      async list(prefix, signal) {
        asked(`list ${prefix}`);
        return store.list(prefix, signal);
      },
      async writeNew(key, bytes, signal) {
        asked(`write ${key}`);
        return store.writeNew(key, bytes, signal);
      },
    };
  }

  start(): void {
    this.#running = runShipper(this.parts, { reconciles: true }, this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async push(index: number, content?: Uint8Array): Promise<number | null> {
    return (await this.place.push(await this.place.wal(name(index), content ?? segmentBytes(name(index))))).code;
  }

  has(repository: string, index: number): Promise<boolean> {
    return stat(join(this.place.rootOf(repository), stored(index))).then(
      () => true,
      () => false,
    );
  }

  async until(repository: string, ...indexes: number[]): Promise<void> {
    await vi.waitFor(async () => {
      for (const index of indexes) expect(await this.has(repository, index)).toBe(true);
    }, WAITING);
  }
}

const WAITING = { timeout: 10_000, interval: 10 };
const all: Shipping[] = [];

afterEach(async () => {
  for (const one of all.splice(0)) {
    await one.stop();
    await one.place.remove();
  }
});

describe('the shipper', () => {
  it('brings on within a second what is pushed, byte for byte', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    shipping.start();
    expect(await shipping.push(1)).toBe(0);
    const begun = performance.now();
    await shipping.until('s3', 1);
    expect(performance.now() - begun).toBeLessThan(1000);
    const [home, there] = await Promise.all(['local', 's3'].map((of) => readFile(join(shipping.place.rootOf(of), stored(1)))));
    expect(home?.equals(there ?? Buffer.of())).toBe(true);
    await vi.waitFor(async () => expect(await shipping.place.files(join(shipping.place.spool, 'todo'))).toEqual([]), WAITING);
  });

  it('is waited for by a push that needs every repository', async () => {
    const shipping = await Shipping.create({ remotes: ['s3', 'far'], ack: 'all' });
    shipping.start();
    await vi.waitFor(() => stat(join(shipping.place.spool, 'shipper')), WAITING);
    expect(await shipping.push(1)).toBe(0);
    expect(await shipping.has('s3', 1)).toBe(true);
    expect(await shipping.has('far', 1)).toBe(true);
    await shipping.stop();
    expect(await shipping.push(2)).toBe(75);
  });

  it('finds by comparing what no hint tells of, histories too, and fills a local repository that was away', async () => {
    const shipping = await Shipping.create({ locals: ['local', 'second'], remotes: ['s3'] });
    const second = shipping.place.rootOf('second');
    await rename(second, `${second}.away`);
    for (const index of [1, 2]) expect(await shipping.push(index)).toBe(0);
    const history = await shipping.place.wal('00000002.history', Buffer.from('1\t0/3000000\tx\n'));
    expect(await shipping.place.push(history)).toMatchObject({ code: 0 });
    for (const of of ['s3', 'second']) await rm(join(shipping.place.spool, 'todo', of), { recursive: true });
    for (const of of ['s3', 'second']) await mkdir(join(shipping.place.spool, 'todo', of));
    await rename(`${second}.away`, second);
    shipping.start();
    for (const of of ['s3', 'second']) {
      await shipping.until(of, 1, 2);
      await vi.waitFor(() => stat(join(shipping.place.rootOf(of), 'wal/00000002.history.zst')), WAITING);
    }
  });

  it('leaves alone what is older than the days that a repository keeps', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    for (const index of [1, 2]) await shipping.push(index);
    await rm(join(shipping.place.spool, 'todo/s3'), { recursive: true });
    await mkdir(join(shipping.place.spool, 'todo/s3'));
    const old = (Date.now() - 8 * DAY_MS) / 1000;
    await utimes(join(shipping.place.rootOf('local'), stored(1)), old, old);
    shipping.start();
    await shipping.until('s3', 2);
    expect(await shipping.has('s3', 1)).toBe(false);
  });

  it('leaves no hole where an outage outlasts the days that a repository keeps, and the hints are lost', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    const repository = shipping.parts.settings.repositories[1];
    if (repository === undefined) throw new Error('there are two repositories');
    const todo = createTodo(join(shipping.place.spool, 'todo/s3'));
    const { signal } = new AbortController();
    const reconcileAgo = (days: number) => {
      const clock = { ...shipping.parts.clock, now: () => BigInt(Date.now() - days * DAY_MS) * 1000n };
      const into = { repository, todo, complete: new Map<string, number>(), onThere: () => undefined };
      return reconcile({ ...shipping.parts, clock } as NativeParts, into, signal);
    };
    const pushedAgo = async (index: number, days: number) => {
      await shipping.push(index);
      await todo.remove(`${name(index)}.zst`);
      const then = (Date.now() - days * DAY_MS) / 1000;
      await utimes(join(shipping.place.rootOf('local'), stored(index)), then, then);
    };
    const there = join(shipping.place.rootOf('s3'), stored(1));
    await pushedAgo(1, 12);
    await mkdir(dirname(there), { recursive: true });
    await copyFile(join(shipping.place.rootOf('local'), stored(1)), there);
    await reconcileAgo(11);
    await rm(there);
    await pushedAgo(2, 10);
    await pushedAgo(3, 1);
    // The first was there and was let go; of the others the older one is older than the 7 days that are kept.
    await reconcileAgo(0);
    expect(await todo.list()).toEqual([`${name(2)}.zst`, `${name(3)}.zst`]);
    for (const file of await todo.list()) await todo.remove(file);
    await reconcileAgo(0);
    expect(await todo.list()).toEqual([`${name(2)}.zst`, `${name(3)}.zst`]);
  });

  it('catches up after an outage, which is noted as long as it lasts', async () => {
    const shipping = await Shipping.create({ remotes: ['s3', 'far'] });
    shipping.faults.set('s3', () => {
      throw new SpokeError('REPOSITORY_UNAVAILABLE', 'repository s3 does not answer');
    });
    shipping.start();
    for (const index of [1, 2, 3]) expect(await shipping.push(index)).toBe(0);
    await shipping.until('far', 1, 2, 3);
    await vi.waitFor(async () => {
      expect(await readPushErrors(shipping.parts.settings)).toMatchObject([
        { repository: 's3', message: expect.stringContaining('does not answer') as string },
      ]);
    }, WAITING);
    // A hint goes once the file is there.
    await vi.waitFor(async () => {
      const held = await readHeldWal(shipping.parts.settings);
      expect(held.map(({ repository, queue, from }) => [repository, queue.count, from])).toEqual([
        ['s3', 3, 'local'],
        ['far', 0, 'local'],
      ]);
    }, WAITING);
    shipping.faults.clear();
    await shipping.until('s3', 1, 2, 3);
    await vi.waitFor(async () => expect(await readPushErrors(shipping.parts.settings)).toEqual([]), WAITING);
  });

  it('never overwrites other bytes, says so, and brings on everything else', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    const there = join(shipping.place.rootOf('s3'), stored(1));
    await mkdir(dirname(there), { recursive: true });
    await writeFile(there, 'other bytes');
    for (const index of [1, 2]) await shipping.push(index);
    shipping.start();
    await shipping.until('s3', 2);
    await vi.waitFor(async () => {
      expect(await readPushErrors(shipping.parts.settings)).toMatchObject([{ repository: 's3', segment: name(1) }]);
    }, WAITING);
    expect(await readFile(there, 'utf8')).toBe('other bytes');
  });

  it('takes the same segment that was compressed in another way for the same', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    await shipping.push(1);
    const there = join(shipping.place.rootOf('s3'), stored(1));
    await mkdir(dirname(there), { recursive: true });
    execFileSync('zstd', ['-q', '-19', '--check', join(shipping.place.dataDirectory, 'pg_wal', name(1)), '-o', there]);
    shipping.start();
    await vi.waitFor(async () => expect(await shipping.place.files(join(shipping.place.spool, 'todo'))).toEqual([]), WAITING);
    expect(await readPushErrors(shipping.parts.settings)).toEqual([]);
  });

  it('looks again only at folders that have changed', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    const home = join(shipping.place.rootOf('local'), 'wal');
    for (let folder = 0; folder < 5; folder += 1) {
      const at = `00000001${folder.toString(16).toUpperCase().padStart(8, '0')}`;
      await mkdir(join(home, at), { recursive: true });
      await writeFile(join(home, at, `${at}00000001.zst`), '');
    }
    const repository = shipping.parts.settings.repositories[1];
    if (repository === undefined) throw new Error('there are two repositories');
    const todo = createTodo(join(shipping.place.spool, 'todo/s3'));
    const into = { repository, todo, complete: new Map<string, number>(), onThere: () => undefined };
    const { signal } = new AbortController();
    await reconcile(shipping.parts, into, signal);
    expect((await todo.list()).length).toBe(5);
    for (const file of await todo.list()) {
      const key = `wal/${file.slice(0, 16)}/${file}`;
      await mkdir(dirname(join(shipping.place.rootOf('s3'), key)), { recursive: true });
      await copyFile(join(shipping.place.rootOf('local'), key), join(shipping.place.rootOf('s3'), key));
    }
    await reconcile(shipping.parts, into, signal);
    shipping.calls.length = 0;
    await writeFile(join(home, '0000000100000003/000000010000000300000002.zst'), '');
    await reconcile(shipping.parts, into, signal);
    expect(shipping.calls).toEqual(['s3 list wal/0000000100000003/']);
  });

  it('drains a backlog of thousands', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    const home = join(shipping.place.rootOf('local'), 'wal', FOLDER);
    await mkdir(home, { recursive: true });
    const count = 3000;
    for (let index = 0; index < count; index += 1) {
      await writeFile(join(home, `${name(index)}.zst`), String(index));
      await writeFile(join(shipping.place.spool, 'todo/s3', `${name(index)}.zst`), '');
    }
    shipping.start();
    const there = join(shipping.place.rootOf('s3'), 'wal', FOLDER);
    await vi.waitFor(async () => expect((await shipping.place.files(there)).length).toBe(count), { timeout: 60_000, interval: 200 });
    // One look for each file, one list of the folder to begin with: nothing grows with the square.
    expect(shipping.calls.length).toBeLessThan(2 * count + 100);
  }, 90_000);
});

describe('a spool', () => {
  it('is left by what every repository has, and not before', async () => {
    const shipping = await Shipping.create({ locals: [], remotes: ['s3', 'far'] });
    const inSpool = () => shipping.place.files(join(shipping.place.spool, 'home/wal'));
    shipping.faults.set('far', () => {
      throw new SpokeError('REPOSITORY_UNAVAILABLE', 'repository far does not answer');
    });
    expect(await shipping.push(1)).toBe(0);
    shipping.start();
    await shipping.until('s3', 1);
    expect(await inSpool()).toEqual([`${FOLDER}/${name(1)}.zst`]);
    shipping.faults.clear();
    await shipping.until('far', 1);
    await vi.waitFor(async () => expect(await inSpool()).toEqual([]), WAITING);
    // Offered once more, as after a crash of PostgreSQL.
    const again = await shipping.place.push(`pg_wal/${name(1)}`);
    expect(again).toMatchObject({ code: 0 });
    await vi.waitFor(async () => expect(await inSpool()).toEqual([]), WAITING);
    expect(await readPushErrors(shipping.parts.settings)).toEqual([]);
  });

  it('that is emptied by a new process waits for those that the one before did not come to', async () => {
    const shipping = await Shipping.create({ locals: [], remotes: ['s3', 'far'] });
    expect(await shipping.push(1)).toBe(0);
    // Another process has brought it to one of them.
    const there = join(shipping.place.rootOf('s3'), stored(1));
    await mkdir(dirname(there), { recursive: true });
    await copyFile(join(shipping.place.spool, 'home', stored(1)), there);
    await rm(join(shipping.place.spool, 'todo/s3', `${name(1)}.zst`));
    shipping.start();
    await shipping.until('far', 1);
    await vi.waitFor(async () => expect(await shipping.place.files(join(shipping.place.spool, 'home/wal'))).toEqual([]), WAITING);
  });

  it('recognises encrypted WAL that it has let go', async () => {
    const keys = execFileSync('age-keygen', [], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const recipients = [/public key: (age1\S+)/.exec(keys)?.[1] ?? ''];
    const shipping = await Shipping.create({ locals: [], remotes: ['s3'], encryption: { recipients } });
    const content = segmentBytes(name(1));
    expect(await shipping.push(1, content)).toBe(0);
    shipping.start();
    await vi.waitFor(async () => expect(await shipping.place.files(join(shipping.place.spool, 'home/wal'))).toEqual([]), WAITING);
    const there = join(shipping.place.rootOf('s3'), `${stored(1)}.age`);
    const before = await readFile(there);
    expect(await shipping.push(1, content)).toBe(0);
    expect(await shipping.push(1)).toBe(45);
    expect(await shipping.place.files(join(shipping.place.spool, 'home/wal'))).toEqual([]);
    expect((await readFile(there)).equals(before)).toBe(true);
  });
});

describe('a segment that lies elsewhere', () => {
  it('is archived as archive_command does, and refused with the reason', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    const context = { signal: new AbortController().signal };
    const at = async (content: Uint8Array) => {
      const path = join(shipping.place.directory, name(1));
      await writeFile(path, content);
      return path;
    };
    await archiveSegment(shipping.parts, await at(segmentBytes(name(1))), context);
    expect(await shipping.has('local', 1)).toBe(true);
    await expect(archiveSegment(shipping.parts, await at(segmentBytes(name(1))), context)).rejects.toMatchObject({
      code: 'BACKUP_DAMAGED',
    });
    const foreign = segmentBytes(name(1), { systemIdentifier: 1n });
    await expect(archiveSegment(shipping.parts, await at(foreign), context)).rejects.toMatchObject({ code: 'REFUSED_WRONG_CLUSTER' });
  });
});

describe('whoever needs WAL in a repository', () => {
  const span = { timeline: timelineIdOf(1), firstSegment: 2n * 4096n + 1n, lastSegment: 2n * 4096n + 2n, segmentBytes: MEBIBYTE };

  it('brings it there from home', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    for (const index of [1, 2]) await shipping.push(index);
    await awaitWal(shipping.parts, 's3' as RepositoryName, span, { signal: new AbortController().signal });
    expect(await shipping.has('s3', 1)).toBe(true);
    expect(await shipping.has('s3', 2)).toBe(true);
  });

  it('is told which segment is missing, and why', async () => {
    const shipping = await Shipping.create({ remotes: ['s3'] });
    await shipping.push(1);
    await writeFile(join(shipping.place.spool, 'failed', name(2)), 'local\nthe disk is full. Look.\n');
    const waiting = awaitWal(shipping.parts, 's3' as RepositoryName, span, { signal: new AbortController().signal, timeoutMs: 300 });
    await expect(waiting).rejects.toMatchObject({ code: 'TIMED_OUT', message: expect.stringMatching(new RegExp(`${name(2)}`)) as string });
  });
});
