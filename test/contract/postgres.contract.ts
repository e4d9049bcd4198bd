import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OperationContext } from '../../src/ports/operation.ts';
import type { PostgresReader, PostgresWriter, ServerAddress } from '../../src/ports/postgres-server.ts';

/** A primary on timeline 1 with one standby that follows it, and an address where nothing answers. */
export interface ServerWorld {
  readonly postgres: PostgresReader & PostgresWriter;
  readonly primary: ServerAddress;
  readonly standby: ServerAddress;
  readonly nowhere: ServerAddress;
  /** Of the primary. */
  readonly dataDirectory: string;
  dispose(): Promise<void>;
}

/** What every way of talking to servers does. The tests go on from one another: the last ones promote the standby. */
export function postgresContract(name: string, make: () => Promise<ServerWorld>): void {
  describe(`${name}, as servers`, () => {
    let world: ServerWorld;
    let postgres: PostgresReader & PostgresWriter;
    const context: OperationContext = { signal: new AbortController().signal };
    beforeAll(async () => {
      world = await make();
      postgres = world.postgres;
    });
    afterAll(() => world.dispose());

    it('a primary is not in recovery and knows where it is', async () => {
      const found = await postgres.observeServer(world.primary, context);
      expect(found).toMatchObject({ inRecovery: false, timeline: 1, dataDirectory: world.dataDirectory, pendingRestart: [] });
      expect(Math.floor(found.versionNumber / 10_000)).toBe(found.postgresMajor);
      expect(Math.log2(found.walSegmentSizeBytes) % 1).toBe(0);
      expect(found.lsn).toBeGreaterThan(0n);
    });

    it('a standby is in recovery, of the same cluster, and its primary sees it', async () => {
      const primary = await postgres.observeServer(world.primary, context);
      const standby = await postgres.observeServer(world.standby, context);
      expect(standby).toMatchObject({ inRecovery: true, timeline: 1, systemIdentifier: primary.systemIdentifier });
      expect(standby.lsn).toBeLessThanOrEqual((await postgres.observeServer(world.primary, context)).lsn ?? 0n);
      expect(primary.replication).toEqual([expect.objectContaining({ state: 'streaming', syncState: 'async' })]);
    });

    it('recovery is told of a standby, and that there is none of a primary', async () => {
      expect(await postgres.observeRecovery(world.standby, context)).toMatchObject({ inRecovery: true, paused: false, timeline: 1 });
      expect(await postgres.observeRecovery(world.primary, context)).toMatchObject({ inRecovery: false, paused: false, timeline: 1 });
    });

    it('a standby tells whom it receives WAL from, and the primary who receives it', async () => {
      const primary = await postgres.observeReplication(world.primary, context);
      expect(primary).toMatchObject({ inRecovery: false, replayPaused: false, slots: [] });
      expect(primary).not.toHaveProperty('receivedLsn');
      expect(primary).not.toHaveProperty('receiver');
      const [sender] = primary.senders;
      expect(primary.senders).toEqual([expect.objectContaining({ state: 'streaming', syncState: 'async' })]);
      expect(sender?.sentLsn).toBeLessThanOrEqual(primary.flushLsn ?? 0n);
      await expect
        .poll(async () => (await postgres.observeReplication(world.standby, context)).replayedLsn)
        .toBeGreaterThanOrEqual(primary.flushLsn ?? 0n);
      const standby = await postgres.observeReplication(world.standby, context);
      expect(standby).toMatchObject({ inRecovery: true, replayPaused: false, receiver: { status: 'streaming', timeline: 1 }, senders: [] });
      expect(standby).not.toHaveProperty('flushLsn');
      expect(standby.receivedLsn).toBeGreaterThanOrEqual(standby.replayedLsn ?? 0n);
      expect(standby.receiver?.senderPort).toBe(standby.primaryConnection?.port);
    });

    it('a slot tells since where it keeps WAL, and is gone once it is dropped', async () => {
      await postgres.createSlot(world.primary, 'kept_for', context);
      const { slots, flushLsn } = await postgres.observeReplication(world.primary, context);
      expect(slots).toEqual([
        expect.objectContaining({ name: 'kept_for', kind: 'physical', active: false, temporary: false, walStatus: 'reserved' }),
      ]);
      expect(slots[0]?.restartLsn).toBeLessThanOrEqual(flushLsn ?? 0n);
      await postgres.dropSlot(world.primary, 'kept_for', context);
      expect((await postgres.observeReplication(world.primary, context)).slots).toEqual([]);
    });

    it('a server says how much there is to copy, what it still has, and whether it lets somebody copy', async () => {
      const found = await postgres.observeSeedSource(world.primary, context);
      expect(found.databaseBytes).toBeGreaterThan(0n);
      expect(found.oldestWal).toMatch(/^[0-9A-F]{24}$/);
      const { walSegmentSizeBytes } = await postgres.observeServer(world.primary, context);
      expect((found.walBytes ?? 0n) / BigInt(walSegmentSizeBytes)).toBeGreaterThanOrEqual(1n);
      expect(found.freeSenders).toBeGreaterThan(0);
    });

    it('nothing waits for the archiver of a server that archives nothing, and pg_wal holds whole segments', async () => {
      const { walSegmentSizeBytes } = await postgres.observeServer(world.primary, context);
      for (const address of [world.primary, world.standby]) {
        const found = await postgres.observeWal(address, context);
        expect(found).toMatchObject({ queue: { count: 0, waiting: [] }, slots: [] });
        expect(Number(found.walBytes) % walSegmentSizeBytes).toBe(0);
        expect(found.walBytes).toBeGreaterThan(0n);
      }
    });

    it('an address where nothing answers is unavailable', async () => {
      for (const question of [
        postgres.observeServer,
        postgres.observeRecovery,
        postgres.observeWal,
        postgres.observeReplication,
        postgres.promote,
        postgres.endRecoveryAtTarget,
        postgres.closeWalSegment,
      ])
        await expect(question(world.nowhere, context)).rejects.toMatchObject({ code: 'POSTGRES_UNAVAILABLE' });
    });

    it('nothing is asked once the caller has given up', async () => {
      const signal = AbortSignal.abort();
      await expect(postgres.observeServer(world.primary, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
      await expect(postgres.reloadConfiguration(world.primary, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    });

    it('a closed segment is named, and its commit is later than everything before', async () => {
      const before = await postgres.observeServer(world.primary, context);
      const first = await postgres.closeWalSegment(world.primary, context);
      const second = await postgres.closeWalSegment(world.primary, context);
      const after = await postgres.observeServer(world.primary, context);
      expect(first.segment).toMatch(/^00000001[0-9A-F]{16}$/);
      expect(second.segment > first.segment).toBe(true);
      const times = [before.serverTime, first.commitTime, second.commitTime, after.serverTime];
      expect(times).toEqual(times.toSorted((left, right) => Number(left - right)));
      expect(after.lsn).toBeGreaterThan(before.lsn ?? 0n);
    });

    it('a setting takes effect with a reload, and is taken back with null', async () => {
      const settings = async () => (await postgres.observeServer(world.primary, context)).settings;
      const { archive_timeout: original } = await settings();
      await postgres.alterSystem(world.primary, { archive_timeout: '77s' }, context);
      await postgres.reloadConfiguration(world.primary, context);
      await expect.poll(async () => (await settings()).archive_timeout).toBe('77');
      await postgres.alterSystem(world.primary, { archive_timeout: null }, context);
      await postgres.reloadConfiguration(world.primary, context);
      await expect.poll(async () => (await settings()).archive_timeout).toBe(original);
    });

    it('a setting that needs a restart is told to wait for one', async () => {
      const pending = async () => (await postgres.observeServer(world.primary, context)).pendingRestart;
      await postgres.alterSystem(world.primary, { max_connections: '57' }, context);
      await postgres.reloadConfiguration(world.primary, context);
      await expect.poll(pending).toEqual(['max_connections']);
      await postgres.alterSystem(world.primary, { max_connections: null }, context);
      await postgres.reloadConfiguration(world.primary, context);
      await expect.poll(pending).toEqual([]);
    });

    it('a setting that PostgreSQL does not take is an error of the server’s', async () => {
      await expect(postgres.alterSystem(world.primary, { archive_mode: 'perhaps' }, context)).rejects.toMatchObject({
        code: 'POSTGRES_FAILED',
      });
    });

    it('a standby cannot close a segment', async () => {
      await expect(postgres.closeWalSegment(world.standby, context)).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
    });

    it('promoting leaves recovery on a timeline of its own, and can be asked for again', async () => {
      await postgres.promote(world.standby, context);
      await postgres.promote(world.standby, context);
      expect(await postgres.observeServer(world.standby, context)).toMatchObject({ inRecovery: false, timeline: 2 });
      expect(await postgres.observeRecovery(world.standby, context)).toMatchObject({ inRecovery: false, timeline: 2 });
      expect((await postgres.closeWalSegment(world.standby, context)).segment).toMatch(/^00000002/);
    });
  });
}
