import { execFileSync, spawnSync } from 'node:child_process';
import { chown, mkdir, readFile, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import { createCatalog } from '../../../src/adapters/native/catalog/catalog.ts';
import { verifyRepository } from '../../../src/adapters/native/catalog/verify.ts';
import { readWalArchive } from '../../../src/adapters/native/catalog/wal-listing.ts';
import { awaitWal } from '../../../src/adapters/native/wal/await-wal.ts';
import { packSegment } from '../../../src/adapters/native/wal/pack-segment.ts';
import { readPushErrors } from '../../../src/adapters/native/wal/push-errors.ts';
import { runShipper } from '../../../src/adapters/native/wal/shipper.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { asRoot, withMounts } from '../privileges.ts';
import { createPlace, MEBIBYTE, type PlaceOptions, type PushPlace, segmentBytes, writeCluster } from './wal-push-harness.ts';

const FOLDER = '0000000100000002';
const WAITING = { timeout: 10_000, interval: 10 };
const name = (index: number) => `${FOLDER}${index.toString(16).toUpperCase().padStart(8, '0')}`;
const plainKey = (index: number) => `wal/${FOLDER}/${name(index)}`;
const packedKey = (index: number) => `${plainKey(index)}.zst`;
const context = { signal: new AbortController().signal };

/** A place whose daemon ships and packs, once it is started; directories are in place of buckets. */
class Packing {
  readonly place: PushPlace;
  readonly parts: NativeParts;
  readonly home: string;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  private constructor(place: PushPlace) {
    this.place = place;
    const repositories = place.settings.repositories.map((repository) => ({
      ...repository,
      open: () => Promise.resolve(createFileBlobStore({ directory: place.rootOf(repository.name) })),
    }));
    const clock = createSystemClock();
    // It pauses after a failure.
    const sleep = (ms: number, signal: AbortSignal) => clock.sleep(Math.min(ms, 50), signal);
    const parts = { settings: { ...place.settings, repositories }, runner: createProcessRunner(), clock: { ...clock, sleep } };
    this.parts = parts as unknown as NativeParts;
    this.home = place.settings.repositories[0]?.directory ?? join(place.spool, 'home');
  }

  static async create(options: PlaceOptions = {}): Promise<Packing> {
    const place = await createPlace(options);
    for (const { name: repository } of place.settings.repositories) await writeCluster(place.rootOf(repository));
    const made = new Packing(place);
    all.push(made);
    return made;
  }

  async start(): Promise<void> {
    this.#running = runShipper(this.parts, { reconciles: true }, this.#stop.signal);
    await vi.waitFor(() => stat(join(this.place.spool, 'packer')), WAITING);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async push(index: number, content: Uint8Array = segmentBytes(name(index))): Promise<number | null> {
    return (await this.place.push(await this.place.wal(name(index), content))).code;
  }

  /** As archive_command leaves it, without a hint. */
  async store(key: string, content: Uint8Array, root = this.home): Promise<string> {
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), content);
    return join(root, key);
  }

  files(root = this.home): Promise<readonly string[]> {
    return this.place.files(join(root, 'wal'));
  }

  untilPacked(...indexes: number[]): Promise<void> {
    return this.untilFiles(indexes.map((index) => packedKey(index).slice('wal/'.length)));
  }

  untilFiles(files: readonly string[], root = this.home): Promise<void> {
    return vi.waitFor(async () => expect(await this.files(root)).toEqual(files), WAITING);
  }
}

const all: Packing[] = [];
afterEach(async () => {
  for (const one of all.splice(0)) {
    await one.stop();
    await one.place.remove();
  }
});

function zstd(content: Uint8Array): Buffer {
  return execFileSync('zstd', ['-q', '-c', '--check'], { input: content, maxBuffer: 8 * MEBIBYTE });
}

/** What the standard tools, not ours, find in a stored file. */
function unpacked(path: string): Buffer {
  return execFileSync(path.endsWith('.zst') ? 'zstd' : 'lz4', ['-dc', path], { maxBuffer: 8 * MEBIBYTE });
}

describe('what archive_command leaves as it is', () => {
  it.each(['zst', 'lz4'] as const)(
    'is packed as %s within a second, with a checksum and the time of when it came',
    async (compressType) => {
      const packing = await Packing.create({ compressType });
      await packing.start();
      const content = segmentBytes(name(1));
      const before = Date.now();
      expect(await packing.push(1, content)).toBe(0);
      await packing.untilFiles([`${FOLDER}/${name(1)}.${compressType}`]);
      expect(Date.now() - before).toBeLessThan(1000);
      const path = join(packing.home, `${plainKey(1)}.${compressType}`);
      expect(unpacked(path).equals(content)).toBe(true);
      // zstd: Frame_Header_Descriptor, bit 2 (RFC 8878); lz4: FLG, bit 2 (its frame format).
      expect(((await readFile(path))[4] ?? 0) & 0b100).toBe(0b100);
      expect((await stat(path)).mode & 0o077).toBe(0);
      await vi.waitFor(async () => expect(await packing.place.files(join(packing.place.spool, 'pack'))).toEqual([]), WAITING);
      expect(await packing.place.files(join(packing.home, '.tmp'))).toEqual([]);
      expect(await packing.push(1, content)).toBe(0);
      expect(await packing.push(1)).toBe(45);
    },
  );

  it('is found without a hint when the daemon starts', async () => {
    const packing = await Packing.create();
    const path = await packing.store(plainKey(1), segmentBytes(name(1)));
    const then = Math.floor(Date.now() / 1000) - 3600;
    await utimes(path, then, then);
    await packing.start();
    await packing.untilPacked(1);
    expect((await stat(join(packing.home, packedKey(1)))).mtimeMs).toBe(then * 1000);
  });

  it('is packed by nobody once the daemon is gone, and archive_command packs again itself', async () => {
    const packing = await Packing.create();
    await packing.start();
    await packing.stop();
    expect(await packing.push(1)).toBe(0);
    expect(await packing.files()).toEqual([`${FOLDER}/${name(1)}.zst`]);
  });

  it('goes where the packed one is there already, and holds the same', async () => {
    const packing = await Packing.create();
    const content = segmentBytes(name(1));
    const packed = await packing.store(packedKey(1), zstd(content));
    await packing.store(plainKey(1), content);
    const before = await readFile(packed);
    await packing.start();
    await packing.untilPacked(1);
    expect((await readFile(packed)).equals(before)).toBe(true);
  });

  it.each([
    ['holds other bytes', () => zstd(segmentBytes(name(1)))],
    ['is damaged', (content: Buffer) => zstd(content).subarray(0, 1000)],
  ])('stays where the packed one %s, which is an alarm and holds up nothing else', async (_what, packed) => {
    const packing = await Packing.create();
    const content = segmentBytes(name(1));
    const theirs = packed(content);
    await packing.store(packedKey(1), theirs);
    await packing.store(plainKey(1), content);
    await packing.store(plainKey(2), segmentBytes(name(2)));
    await packing.start();
    const left = [`${FOLDER}/${name(1)}`, `${FOLDER}/${name(1)}.zst`, `${FOLDER}/${name(2)}.zst`];
    await packing.untilFiles(left);
    await vi.waitFor(async () => {
      const message = expect.stringContaining('holds other bytes') as string;
      expect(await readPushErrors(packing.parts.settings)).toMatchObject([{ repository: 'local', segment: name(1), message }]);
    }, WAITING);
    expect((await readFile(join(packing.home, plainKey(1)))).equals(content)).toBe(true);
    expect((await readFile(join(packing.home, packedKey(1)))).equals(theirs)).toBe(true);
    await unlink(join(packing.home, packedKey(1)));
    await packing.untilPacked(1, 2);
    await vi.waitFor(async () => expect(await readPushErrors(packing.parts.settings)).toEqual([]), WAITING);
  });

  it('is packed once where several want it at the same moment', async () => {
    const packing = await Packing.create();
    await packing.store(plainKey(1), segmentBytes(name(1)));
    const stored = `${name(1)}.zst`;
    expect(await Promise.all([1, 2, 3].map(() => packSegment(packing.parts, stored, context)))).toEqual([true, true, true]);
    expect(await packing.files()).toEqual([`${FOLDER}/${stored}`]);
    expect(await packSegment(packing.parts, stored, context)).toBe(false);
  });

  asRoot('belongs to whom it belonged to', async () => {
    const packing = await Packing.create();
    await chown(await packing.store(plainKey(1), segmentBytes(name(1))), 65_534, 65_534);
    await packSegment(packing.parts, `${name(1)}.zst`, context);
    expect(await stat(join(packing.home, packedKey(1)))).toMatchObject({ uid: 65_534, gid: 65_534 });
  });

  withMounts('stays where the disk is full, and is packed once there is room', async () => {
    const packing = await Packing.create();
    const note = await readFile(join(packing.home, 'cluster.json'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1536k', 'tmpfs', packing.home]);
    try {
      await writeFile(join(packing.home, 'cluster.json'), note);
      const content = segmentBytes(name(1));
      await packing.store(plainKey(1), content);
      await packing.start();
      await vi.waitFor(async () => {
        const message = expect.stringContaining('no space left') as string;
        expect(await readPushErrors(packing.parts.settings)).toMatchObject([{ repository: 'local', message }]);
      }, WAITING);
      expect((await readFile(join(packing.home, plainKey(1)))).equals(content)).toBe(true);
      expect(await packing.files()).toEqual([`${FOLDER}/${name(1)}`]);
      execFileSync('mount', ['-o', 'remount,size=8m', packing.home]);
      await packing.untilPacked(1);
      await packing.stop();
    } finally {
      execFileSync('umount', [packing.home]);
    }
  });
});

describe('a process that packs and is killed', () => {
  const SCRIPT = join(import.meta.dirname, 'pack-once.ts');
  const POINTS = [
    ['before anything is durable', 'fsync', 1],
    ['before the packed one has its name', 'link,linkat', 1],
    ['while its temporary name is there, too', 'unlink,unlinkat', 1],
    ['before the new name is durable', 'fsync', 2],
    ['before the plain one goes', 'unlink,unlinkat', 2],
  ] as const;

  it.each(POINTS)('%s loses nothing, and the next one ends what it began', async (_when, calls, count) => {
    const packing = await Packing.create();
    const content = segmentBytes(name(1));
    const plain = await packing.store(plainKey(1), content);
    const { directory, repositories, compressType, compressLevel } = packing.place.settings;
    const settings = JSON.stringify({ directory, repositories, compressType, compressLevel });
    const argv = ['-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}:signal=KILL:when=${count}`];
    // Calls are counted by thread.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const { signal } = spawnSync('strace', [...argv, process.execPath, '--no-warnings', SCRIPT, settings, `${name(1)}.zst`], { env });
    expect(signal).toBe('SIGKILL');
    expect((await readFile(plain)).equals(content)).toBe(true);
    const packed = join(packing.home, packedKey(1));
    if ((await packing.files()).length > 1) expect(unpacked(packed).equals(content)).toBe(true);
    expect(await packing.push(1, content)).toBe(0);
    await packing.start();
    await packing.untilPacked(1);
    expect(unpacked(packed).equals(content)).toBe(true);
  });
});

describe('repositories elsewhere', () => {
  it('get it packed, by the name that the hint of a push has, and empty the spool', async () => {
    const packing = await Packing.create({ locals: [], remotes: ['s3'], ack: 'all' });
    await packing.start();
    const content = segmentBytes(name(1));
    expect(await packing.push(1, content)).toBe(0);
    const there = packing.place.rootOf('s3');
    expect(await packing.files(there)).toEqual([`${FOLDER}/${name(1)}.zst`]);
    expect(unpacked(join(there, packedKey(1))).equals(content)).toBe(true);
    await packing.untilFiles([]);
  });

  it('get what no hint tells of and is not packed, and do not hide that it differs', async () => {
    const packing = await Packing.create({ locals: [], remotes: ['s3'] });
    const there = packing.place.rootOf('s3');
    await packing.store(plainKey(1), segmentBytes(name(1)));
    await packing.store(plainKey(2), segmentBytes(name(2)));
    await packing.store(packedKey(2), zstd(segmentBytes(name(2))), there);
    await packing.start();
    await packing.untilFiles([`${FOLDER}/${name(1)}.zst`, `${FOLDER}/${name(2)}.zst`], there);
    await packing.untilPacked(2);
    await vi.waitFor(async () => {
      expect(await readPushErrors(packing.parts.settings)).toMatchObject([{ repository: 's3', segment: name(2) }]);
    }, WAITING);
  });

  it('get it from whoever needs it there, without a daemon', async () => {
    const packing = await Packing.create({ remotes: ['s3'] });
    await packing.store(plainKey(1), segmentBytes(name(1)));
    const span = { timeline: timelineIdOf(1), firstSegment: 2n * 4096n + 1n, lastSegment: 2n * 4096n + 1n, segmentBytes: MEBIBYTE };
    await awaitWal(packing.parts, 'local' as RepositoryName, span, context);
    await awaitWal(packing.parts, 's3' as RepositoryName, span, context);
    const [home, there] = await Promise.all(['local', 's3'].map((of) => readFile(join(packing.place.rootOf(of), packedKey(1)))));
    expect(home?.equals(there ?? Buffer.of())).toBe(true);
    expect(await packing.files()).toEqual([`${FOLDER}/${name(1)}.zst`]);
  });
});

describe('whoever reads the repository', () => {
  it('finds what is stored as it is, or under both names, in the list of WAL', async () => {
    const packing = await Packing.create();
    for (const index of [1, 2]) await packing.store(packedKey(index), zstd(segmentBytes(name(index))));
    for (const index of [2, 3]) await packing.store(plainKey(index), segmentBytes(name(index)));
    const store = createFileBlobStore({ directory: packing.home });
    const { ranges } = await readWalArchive({ parts: packing.parts, store, known: new Map() }, { segmentBytes: MEBIBYTE }, context);
    expect(ranges).toMatchObject([{ timeline: 1, firstSegment: 2n * 4096n + 1n, lastSegment: 2n * 4096n + 3n }]);
  });

  it('verifies it, and what it was packed into meanwhile', async () => {
    const packing = await Packing.create();
    await packing.store(plainKey(1), segmentBytes(name(1)));
    await packing.store(plainKey(2), segmentBytes(name(2)).subarray(1));
    await packing.store(plainKey(3), segmentBytes(name(3)));
    const store = createFileBlobStore({ directory: packing.home });
    const openRead: typeof store.openRead = async (key, signal) => {
      if (key !== plainKey(3)) return store.openRead(key, signal);
      await packing.store(packedKey(3), zstd(segmentBytes(name(3))).subarray(0, 1000));
      await unlink(join(packing.home, plainKey(3)));
      return undefined;
    };
    const [repository] = packing.parts.settings.repositories;
    if (repository === undefined) throw new Error('there is one');
    const opened = { ...repository, open: () => Promise.resolve({ ...store, openRead }) };
    const parts = { ...packing.parts, settings: { ...packing.parts.settings, repositories: [opened] } };
    const { faults } = await verifyRepository(parts, createCatalog(parts), repository.name, context);
    expect(faults.filter((fault) => fault.startsWith('wal/'))).toEqual([
      `${plainKey(2)}: it holds ${MEBIBYTE - 1} bytes, not ${MEBIBYTE}`,
      expect.stringMatching(`^${packedKey(3)}: `),
    ]);
  });
});
