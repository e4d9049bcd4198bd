import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { createNative, type NativeUnderTest, standbyOf } from '../backup-engine/native-fixture.ts';

const context = { signal: new AbortController().signal };
const MEBIBYTE = 1024 * 1024;
const ONE = 'one' as RepositoryName;
const WAITING = { timeout: 60_000, interval: 50 };

let native: NativeUnderTest | undefined;

async function running(...options: Parameters<typeof createNative>): Promise<NativeUnderTest> {
  native = await createNative(...options);
  await native.engine.createRepositories(context);
  return native;
}

afterEach(async () => {
  await native?.dispose();
  native = undefined;
});

async function rangesOf({ reader }: NativeUnderTest, repository: RepositoryName) {
  const { walArchive } = await reader.readRepository(repository, { walArchive: true }, context);
  return walArchive?.ranges.map(({ timeline, firstSegment, lastSegment }) => [timeline, lastSegment - firstSegment + 1n]);
}

describe('a server that archives by spoke-wal-push', () => {
  it.each([1, 16, 64])(
    'with segments of %s MB has each of them in every repository, under names that count as PostgreSQL does',
    async (megabytes) => {
      const under = await running({ walSegmentMegabytes: megabytes });
      const { engine, primary, reader, repositories } = under;
      await engine.checkArchiving(context);
      await primary.sql('CREATE TABLE filled AS SELECT generate_series(1, 50000) AS i');
      await engine.checkArchiving(context);
      for (const repository of repositories) {
        const { walArchive } = await reader.readRepository(repository, { walArchive: true }, context);
        expect(walArchive?.segmentSizeBytes).toBe(megabytes * MEBIBYTE);
        expect(walArchive?.ranges.length).toBe(1);
        const last = await primary.sql('SELECT last_archived_wal FROM pg_stat_archiver');
        expect(await stat(join(under.rootOf(repository), 'wal', last.slice(0, 16), `${last}.zst`))).toBeDefined();
      }
      expect(await reader.readPushErrors()).toEqual([]);
    },
  );

  it('drains a backlog that grew while the repository was away, at a speed that does not fall with its length', async () => {
    const under = await running({ walSegmentMegabytes: 1, repositories: 1 });
    const { engine, primary, takeAway } = under;
    await engine.checkArchiving(context);
    const giveBack = await takeAway(ONE);
    const count = 600;
    await primary.sql('CREATE TABLE filled (i integer)');
    await primary.sql(`DO $$ BEGIN FOR i IN 1..${count} LOOP INSERT INTO filled VALUES (i); PERFORM pg_switch_wal(); END LOOP; END $$`);
    const status = join(primary.dataDirectory, 'pg_wal/archive_status');
    const waiting = async () => (await readdir(status)).filter((file) => file.endsWith('.ready')).length;
    const untilAtMost = (most: number) => vi.waitFor(async () => expect(await waiting()).toBeLessThanOrEqual(most), WAITING);
    expect(await waiting()).toBeGreaterThanOrEqual(count);
    await giveBack();
    await primary.sql('SELECT pg_reload_conf()');
    await untilAtMost(count - 1);
    const begunMs = performance.now();
    await untilAtMost(count / 2);
    const halfMs = performance.now();
    await untilAtMost(0);
    // The second half takes about as long as the first, with room for a busy machine.
    expect(performance.now() - halfMs).toBeLessThan(3 * (halfMs - begunMs) + 2000);
    await engine.checkArchiving(context);
    const ranges = await rangesOf(under, ONE);
    expect(ranges?.length).toBe(1);
    expect(Number(ranges?.[0]?.[1])).toBeGreaterThan(count);
  }, 120_000);

  it('keeps what it cannot archive, and says why, until it can', async () => {
    const under = await running({ repositories: 1 });
    const { engine, primary, reader, takeAway } = under;
    await engine.checkArchiving(context);
    const giveBack = await takeAway(ONE);
    await primary.sql('SELECT pg_switch_wal()');
    await primary.sql('SELECT pg_current_xact_id()');
    await primary.sql('SELECT pg_switch_wal()');
    await vi.waitFor(async () => {
      const [error] = await reader.readPushErrors();
      expect(error).toMatchObject({
        repository: 'one',
        message: expect.stringContaining('has not been set up, or is not mounted') as string,
      });
    }, WAITING);
    await giveBack();
    await engine.checkArchiving(context);
    // A later segment may be there before the one that failed has been told of.
    await vi.waitFor(async () => expect(await reader.readPushErrors()).toEqual([]), WAITING);
    expect((await rangesOf(under, ONE))?.length).toBe(1);
  }, 120_000);

  it('keeps the timeline of a promotion beside the old one, and refuses what a second promotion calls by the same names', async () => {
    const under = await running({ repositories: 1 });
    const { area, engine, primary, reader, rootOf, settings } = under;
    const standbys = [await standbyOf(under, 'one'), await standbyOf(under, 'two')] as const;
    const [one, two] = standbys;
    for (const standby of standbys) await standby.start({ ...engine.archivingSettings(), hot_standby: 'on' });
    const walOf = async (promoted: typeof one) => {
      await promoted.sql('SELECT pg_promote()');
      await promoted.sql('CREATE TABLE of_its_own AS SELECT 1 AS i');
      return promoted.sql('SELECT pg_walfile_name(pg_switch_wal())');
    };
    const segment = await walOf(one);
    const stored = [`wal/${segment.slice(0, 16)}/${segment}.zst`, 'wal/00000002.history.zst'].map((key) => join(rootOf(ONE), key));
    const contents = () => Promise.all(stored.map((path) => readFile(path)));
    const before = await vi.waitFor(contents, WAITING);
    // The second one parts from timeline 1 later, in the same segment.
    await primary.sql('CREATE TABLE later AS SELECT 1 AS i');
    const replayed = await primary.sql('SELECT pg_current_wal_lsn()');
    await vi.waitFor(async () => expect(await two.sql(`SELECT pg_last_wal_replay_lsn() >= '${replayed}'`)).toBe('t'), WAITING);
    expect(await reader.readPushErrors()).toEqual([]);
    expect(await walOf(two)).toBe(segment);
    await vi.waitFor(async () => {
      const [error] = await reader.readPushErrors();
      expect(error).toMatchObject({ repository: 'one', message: expect.stringContaining('holds other bytes') as string });
    }, WAITING);
    // The server asks for nothing else before the history is archived.
    const push = [join(settings.programDirectory, 'spoke-wal-push'), ['-c', join(settings.directory, 'wal.conf')]] as const;
    await expect(area.run(push[0], [...push[1], join(two.dataDirectory, 'pg_wal', segment)])).rejects.toThrow('holds other bytes');
    expect(await contents()).toEqual(before);
    // What timeline 1 archives meanwhile is no fault.
    await primary.sql('SELECT pg_switch_wal()');
    const timelines = async () => (await rangesOf(under, ONE))?.map(([timeline]) => timeline);
    await vi.waitFor(async () => expect(await timelines()).toEqual([1, 2]), WAITING);
  }, 120_000);
});
