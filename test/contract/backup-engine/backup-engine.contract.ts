import { existsSync, readdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { rangeContaining, type WalArchive } from '../../../src/domain/catalog/wal-archive.ts';
import { formatLsn, parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { parseWalSegmentName, segmentNumberBefore, segmentNumberOf } from '../../../src/domain/postgres/wal-segment.ts';
import type { RecoveryTarget } from '../../../src/domain/recovery/target.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { BackupCatalogReader, BackupEngine, RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { processesBelow } from '../../../scripts/vitest/test-root.ts';
import type { TestServer } from '../../harness/postgres.ts';

/** A backup engine with a running primary that archives into its repositories, at least two. Nothing is set up in them yet. */
export interface EngineUnderTest {
  readonly reader: BackupCatalogReader;
  readonly engine: BackupEngine;
  readonly repositories: readonly [RepositoryName, RepositoryName, ...RepositoryName[]];
  readonly primary: TestServer;
  /** False where the server is too old for what the engine does: then it takes a full backup instead, and says so. */
  readonly takesIncrementals: boolean;
  /** A new empty directory that belongs to the owner of the servers. */
  directory(name: string): Promise<string>;
  /** A server on a restored data directory. */
  serverOn(dataDirectory: string): Promise<TestServer>;
  /** Flips a byte in a file of the cluster's data that a backup has stored. Resolves with what mends it. */
  damage(repository: RepositoryName, label: BackupLabel): Promise<() => Promise<void>>;
  /** Takes a repository away. Resolves with what brings it back. */
  takeAway(repository: RepositoryName): Promise<() => Promise<void>>;
  dispose(): Promise<void>;
}

const SECOND_MS = 1000;
const context: OperationContext = { signal: new AbortController().signal };

/** What holds for every backup engine. The tests build on one another, in this order. */
export function describeBackupEngine(name: string, create: () => Promise<EngineUnderTest>): void {
  describe(name, () => {
    let tested: EngineUnderTest;
    let first: RepositoryName;
    let second: RepositoryName;
    const labels = {} as Record<'full' | 'incr' | 'second', BackupLabel>;
    const marks = {} as Record<'time' | 'lsn' | 'xid', string>;

    beforeAll(async () => {
      tested = await create();
      [first, second] = tested.repositories;
    });
    afterAll(() => tested.dispose());

    const snapshot = (repository: RepositoryName, walArchive = false) => tested.reader.readRepository(repository, { walArchive }, context);
    const commit = (id: number) => tested.primary.sql(`insert into ledger values (${id})`);

    it('tells of a repository that is not set up yet that it is not, instead of failing or calling it empty', async () => {
      for (const repository of tested.repositories) {
        expect(await snapshot(repository, true)).toMatchObject({ initialised: false, backups: [] });
      }
    });

    it('sets up every repository, and doing so again changes nothing', async () => {
      await tested.engine.createRepositories(context);
      await tested.engine.createRepositories(context);
      const systemIdentifier = BigInt(await tested.primary.sql('select system_identifier from pg_control_system()'));
      const postgresMajor = Math.floor(Number(await tested.primary.sql('show server_version_num')) / 10_000);
      for (const repository of tested.repositories)
        expect(await snapshot(repository)).toMatchObject({ initialised: true, systemIdentifier, postgresMajor, backups: [] });
    });

    it('checks that WAL reaches every repository', async () => {
      const current = await tested.primary.sql('select pg_walfile_name(pg_current_wal_lsn())');
      await tested.engine.checkArchiving(context);
      for (const repository of tested.repositories) expectArchived((await snapshot(repository, true)).walArchive, current);
    });

    it('takes a full backup into the repository that was named, and into no other', async () => {
      await tested.primary.sql('create table ledger (id int primary key)');
      await commit(1);
      const before = {
        lsn: parseLsn(await tested.primary.sql('select pg_current_wal_lsn()')),
        seconds: Math.floor(Date.now() / SECOND_MS),
      };
      labels.full = await tested.engine.takeBackup({ repository: first, type: 'full', runId: 'run-1' }, context);
      const [backup, ...others] = (await snapshot(first)).backups;
      expect(others).toEqual([]);
      expect(backup).toMatchObject({
        label: labels.full,
        type: 'full',
        repository: first,
        references: [],
        timeline: 1,
        hasPageErrors: false,
      });
      expect(backup?.annotations['spoke-run']).toBe('run-1');
      expect(backup?.startLsn).toBeGreaterThanOrEqual(before.lsn);
      expect(backup?.stopLsn).toBeGreaterThan(backup?.startLsn ?? 0n);
      expect(backup?.stopLsn).toBeLessThanOrEqual(parseLsn(await tested.primary.sql('select pg_current_wal_lsn()')));
      expect(Number(backup?.startTime) / 1e6).toBeGreaterThanOrEqual(before.seconds);
      expect(Number(backup?.stopTime) / 1e6).toBeLessThanOrEqual(Date.now() / SECOND_MS);
      expect(backup?.databaseBytes).toBeGreaterThan(1_000_000n);
      expect((await snapshot(second)).backups).toEqual([]);
    });

    it('takes an incremental backup that needs the full one, or says why it takes a full one', async () => {
      await commit(2);
      const phases: string[] = [];
      const request = { repository: first, type: 'incr', runId: 'run-2' } as const;
      labels.incr = await tested.engine.takeBackup(request, { ...context, onProgress: ({ phase }) => phases.push(phase) });
      const backup = (await snapshot(first)).backups.at(-1);
      const incremental = { label: labels.incr, type: 'incr', prior: labels.full, references: [labels.full] };
      expect(backup).toMatchObject(tested.takesIncrementals ? incremental : { label: labels.incr, type: 'full', references: [] });
      const reasons = phases.filter((phase) => phase.includes('full backup instead'));
      expect(reasons).toHaveLength(tested.takesIncrementals ? 0 : 1);
      expect(backup?.annotations['spoke-run']).toBe('run-2');
    });

    it('lists the WAL from the start of the first backup on without a gap', async () => {
      await recordMarks();
      const last = await tested.primary.sql('select pg_walfile_name(pg_current_wal_lsn())');
      await tested.engine.checkArchiving(context);
      for (const repository of tested.repositories) {
        const { walArchive } = await snapshot(repository, true);
        const segmentSize = Number(await tested.primary.sql("select setting from pg_settings where name = 'wal_segment_size'"));
        expect(walArchive?.segmentSizeBytes).toBe(segmentSize);
        expectArchived(walArchive, last);
        expect(walArchive?.ranges).toHaveLength(1);
      }
      const { backups, walArchive } = await snapshot(first, true);
      for (const { startLsn, stopLsn, timeline } of backups) {
        const size = walArchive?.segmentSizeBytes ?? 0;
        const range = walArchive && rangeContaining(walArchive, timeline, segmentNumberOf(startLsn, size));
        expect(range?.lastSegment).toBeGreaterThanOrEqual(segmentNumberBefore(stopLsn, size));
      }
    });

    /** Rows 10, 20 … each with a way to name the moment right after it, and one more row behind each. */
    async function recordMarks(): Promise<void> {
      await commit(10);
      marks.time = await tested.primary.sql('select (extract(epoch from clock_timestamp()) * 1000000)::bigint');
      await commit(20);
      marks.lsn = await tested.primary.sql('select pg_current_wal_insert_lsn()');
      await commit(30);
      marks.xid = await tested.primary
        .sql('begin; insert into ledger values (40); select pg_current_xact_id(); commit')
        .then((text) => text.trim());
      await tested.primary.sql("select pg_create_restore_point('it''s \\ here')");
      await commit(50);
    }

    let restores = 0;
    async function restore(more: Partial<RestoreRequest>): Promise<{ request: RestoreRequest; server: TestServer }> {
      restores += 1;
      const request: RestoreRequest = {
        repository: first,
        label: labels.incr,
        dataDirectory: await tested.directory(`r${restores}`),
        target: { kind: 'latest' },
        timeline: 'latest',
        targetAction: 'pause',
        workDirectory: await tested.directory(`w${restores}`),
        tablespaceMap: [],
        resume: false,
        ...more,
      };
      await tested.engine.restoreBackup(request, context);
      return { request, server: await tested.serverOn(request.dataDirectory) };
    }

    async function rowsAfterRecovery(server: TestServer, isDone: string): Promise<string> {
      await server.start({ archive_mode: 'off', hot_standby: 'on' });
      await until(server, isDone);
      return (await server.sql('select string_agg(id::text, $$,$$ order by id) from ledger')).trim();
    }
    const PAUSED = "select pg_is_in_recovery() and pg_get_wal_replay_pause_state() = 'paused'";

    it.each([
      ['a time, to the microsecond', () => ({ kind: 'time', time: instantOfMicros(BigInt(marks.time)), inclusive: true }), '1,2,10'],
      ['a position', () => ({ kind: 'lsn', lsn: parseLsn(marks.lsn), inclusive: true }), '1,2,10,20'],
      ['a transaction', () => ({ kind: 'xid', xid: BigInt(marks.xid), inclusive: true }), '1,2,10,20,30,40'],
      ['just before a transaction', () => ({ kind: 'xid', xid: BigInt(marks.xid), inclusive: false }), '1,2,10,20,30'],
      ['a restore point with a quote and a backslash in its name', () => ({ kind: 'name', name: "it's \\ here" }), '1,2,10,20,30,40'],
      ['the end of the backup', () => ({ kind: 'immediate' }), '1,2'],
    ] as const satisfies readonly (readonly [string, () => RecoveryTarget, string])[])('restores to %s', async (_what, target, rows) => {
      const { server } = await restore({ target: target() });
      expect(await rowsAfterRecovery(server, PAUSED)).toBe(rows);
      await server.stop();
    });

    it('restores to the end of the archive, and the promoted server archives the history of its timeline', async () => {
      const { server } = await restore({ label: labels.full });
      await server.start(tested.engine.archivingSettings());
      await until(server, 'select not pg_is_in_recovery()');
      expect(await server.sql('select count(*) from ledger where id = 50')).toBe('1');
      const forkLsn = parseLsn(await server.sql(`select split_part(pg_read_file('pg_wal/00000002.history'), E'\\t', 2)`));
      await server.sql('select pg_switch_wal()');
      await until(server, "select last_archived_wal like '00000002%' and last_archived_wal not like '%history' from pg_stat_archiver");
      await server.stop();
      for (const repository of tested.repositories) {
        const { walArchive } = await snapshot(repository, true);
        const history = walArchive?.histories.find((one) => one.timeline === 2);
        expect(history?.ancestors.map(({ timeline, switchLsn }) => `${timeline} ${formatLsn(switchLsn)}`)).toEqual([
          `1 ${formatLsn(forkLsn)}`,
        ]);
        expect(walArchive?.ranges.at(-1)?.timeline).toBe(2);
      }
    });

    it('follows the timeline that it is told to', async () => {
      const { server } = await restore({ timeline: timelineIdOf(1), label: labels.full });
      await server.start({ archive_mode: 'off' });
      await until(server, 'select not pg_is_in_recovery()');
      expect(await server.sql("select setting from pg_settings where name = 'recovery_target_timeline'")).toBe('1');
      await server.stop();
    });

    it('goes on recovering after its data directory was renamed', async () => {
      const { request, server } = await restore({ target: { kind: 'time', time: instantOfMicros(BigInt(marks.time)), inclusive: true } });
      await server.start({ archive_mode: 'off' });
      await until(server, PAUSED);
      await server.stop();
      await rename(request.dataDirectory, `${request.dataDirectory}.new`);
      const renamed = await tested.serverOn(`${request.dataDirectory}.new`);
      expect(await rowsAfterRecovery(renamed, PAUSED)).toBe('1,2,10');
      await renamed.stop();
    });

    it('fetches WAL ahead of a replay beside, and ends what still does', async () => {
      const target: RecoveryTarget = { kind: 'time', time: instantOfMicros(BigInt(marks.time)), inclusive: true };
      const { request, server } = await restore({ label: labels.full, target });
      const atWork = () => readdirSync(request.workDirectory, { recursive: true });
      const before = atWork();
      await tested.engine.beginReplay(request, context);
      await server.start({ archive_mode: 'off', hot_standby: 'on', ...tested.engine.replaySettings(request) });
      await until(server, PAUSED);
      expect(atWork()).not.toEqual(before);
      expect(await server.sql('select string_agg(id::text, $$,$$ order by id) from ledger')).toBe('1,2,10');
      await server.stop();
      await tested.engine.endReplay(request, context);
      await tested.engine.endReplay(request, context);
      expect(processesBelow(request.workDirectory)).toEqual([]);
    });

    it('refuses a directory that is not empty, and writes nothing into it', async () => {
      const { request, server } = await restore({ target: { kind: 'immediate' } });
      await server.start({ archive_mode: 'off' });
      await server.stop();
      const error = await errorOf(tested.engine.restoreBackup(request, context));
      expect(error.code).toBe('REFUSED_UNSAFE_DIRECTORY');
    });

    it('puts tablespaces where the map says', async () => {
      const place = await tested.directory('tablespace');
      await tested.primary.sql(`create tablespace "side 'ways" location '${place}'`);
      await tested.primary.sql(`create table apart tablespace "side 'ways" as select generate_series(1, 1000) as id`);
      labels.second = await tested.engine.takeBackup({ repository: second, type: 'full', runId: 'run-3' }, context);
      const oid = Number(await tested.primary.sql("select oid from pg_tablespace where spcname like 'side%'"));
      const detail = await tested.reader.readBackupDetail(second, labels.second, context);
      expect(detail).toEqual({ label: labels.second, tablespaces: [{ oid, name: "side 'ways", location: place }], links: [] });
      const location = await tested.directory('moved');
      const { server } = await restore({
        repository: second,
        label: labels.second,
        tablespaceMap: [{ oid, location }],
        target: { kind: 'immediate' },
      });
      await server.start({ archive_mode: 'off' });
      await until(server, PAUSED);
      expect(await server.sql('select count(*), pg_tablespace_location(oid) from apart, pg_tablespace where oid > 16000 group by 2')).toBe(
        `1000|${location}`,
      );
      await server.stop();
    });

    async function requestInto(name: string): Promise<RestoreRequest> {
      return {
        ...{ repository: first, label: labels.incr, target: { kind: 'immediate' }, timeline: 'latest', targetAction: 'pause' },
        ...{ dataDirectory: await tested.directory(name), workDirectory: await tested.directory(`${name}.w`) },
        ...{ tablespaceMap: [], resume: false },
      };
    }

    it('completes a restore that was interrupted before it wrote its first file', async () => {
      const request = await requestInto('begun');
      // All directories, and nothing in them: as pgBackRest is seen to leave it.
      for (const name of ['base', 'base/1', 'global', 'pg_wal']) await tested.directory(`begun/${name}`);
      await tested.engine.restoreBackup({ ...request, resume: true }, context);
      const server = await tested.serverOn(request.dataDirectory);
      expect(await rowsAfterRecovery(server, PAUSED)).toBe('1,2');
      await server.stop();
    });

    it('leaves nothing that could start when a restore is cancelled, and a resumed one completes it', async () => {
      const request = await requestInto('resumed');
      const { dataDirectory } = request;
      const cancel = new AbortController();
      const cancelled = tested.engine.restoreBackup(request, { signal: cancel.signal, onProgress: () => cancel.abort() });
      expect((await errorOf(cancelled)).code).toBe('CANCELLED');
      expect(existsSync(`${dataDirectory}/global/pg_control`)).toBe(false);
      await tested.engine.restoreBackup({ ...request, resume: true }, context);
      const server = await tested.serverOn(dataDirectory);
      expect(await rowsAfterRecovery(server, PAUSED)).toBe('1,2');
      await server.stop();
    });

    it('lists no backup that was cancelled, and takes the next one', async () => {
      const cancel = new AbortController();
      const request = { repository: first, type: 'full', runId: 'run-4' } as const;
      const onProgress = ({ phase }: { phase: string }) => phase === 'copy' && cancel.abort();
      expect((await errorOf(tested.engine.takeBackup(request, { signal: cancel.signal, onProgress }))).code).toBe('CANCELLED');
      expect((await snapshot(first)).backups.map(({ label }) => label)).toEqual([labels.full, labels.incr]);
      const label = await tested.engine.takeBackup(request, context);
      expect((await snapshot(first)).backups.map((backup) => backup.label)).toEqual([labels.full, labels.incr, label]);
    });

    it('tells how far a backup is', async () => {
      const percents: number[] = [];
      await tested.engine.takeBackup(
        { repository: first, type: 'full', runId: 'run-5' },
        { ...context, onProgress: ({ percent }) => percent !== undefined && percents.push(percent) },
      );
      expect(percents.length).toBeGreaterThan(10);
      expect(percents.every((percent, index) => percent >= (percents[index - 1] ?? 0) && percent <= 100)).toBe(true);
    });

    it('finds a sound repository sound', async () => {
      expect(await tested.reader.verifyRepository(first, context)).toEqual({ ok: true, faults: [], damagedBackups: [] });
    });

    it('finds a flipped byte when it verifies, and fails a restore of that backup alone', async () => {
      const mend = await tested.damage(first, labels.full);
      const report = await tested.reader.verifyRepository(first, context);
      expect(report.ok).toBe(false);
      expect(report.faults.join('\n')).toContain(labels.full);
      expect(report.damagedBackups).toContain(labels.full);
      const error = await errorOf(restore({ label: labels.full }));
      expect(error.code).toBe('BACKUP_DAMAGED');
      await mend();
      expect(await tested.reader.verifyRepository(first, context)).toEqual({ ok: true, faults: [], damagedBackups: [] });
    });

    it('never calls a repository empty that it cannot read, and the other one answers all the same', async () => {
      const bringBack = await tested.takeAway(first);
      try {
        for (const walArchive of [false, true]) expect((await errorOf(snapshot(first, walArchive))).exitCode).toBe(21);
        expect((await errorOf(restore({ label: labels.incr }))).exitCode).toBe(21);
        expect((await snapshot(second, true)).backups.map(({ label }) => label)).toContain(labels.second);
      } finally {
        await bringBack();
      }
      expect((await snapshot(first)).backups.map(({ label }) => label)).toContain(labels.full);
    });

    it('names a backup that does not exist', async () => {
      const label = '20200101-000000F' as BackupLabel;
      expect((await errorOf(tested.reader.readBackupDetail(first, label, context))).exitCode).toBe(13);
      expect((await errorOf(restore({ label }))).exitCode).toBe(13);
    });
  });
}

function expectArchived(archive: WalArchive | undefined, segmentName: string): void {
  expect(archive).toBeDefined();
  if (archive === undefined) return;
  const { timeline, segmentNumber } = parseWalSegmentName(segmentName, archive.segmentSizeBytes);
  expect(rangeContaining(archive, timeline, segmentNumber), `${segmentName} is archived`).toBeDefined();
}

/** Asks until the server answers `t`. A server that still starts does not answer. */
export async function until(server: TestServer, condition: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await server.sql(condition).catch((thrown: unknown) => String(thrown));
    if (answer === 't') return;
    if (performance.now() > deadline) throw new Error(`${condition} answered ${answer}\n${await server.serverLog()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function errorOf(run: Promise<unknown>): Promise<SpokeError> {
  const thrown: unknown = await run.then(
    (value) => new Error(`it succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (thrown instanceof SpokeError) return thrown;
  throw thrown instanceof Error ? thrown : new Error(String(thrown));
}
