import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { combineMembers } from '../../../src/adapters/native/incremental/combine.ts';
import { createPostgresReader } from '../../../src/adapters/postgres/reader.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../src/domain/native/backup-record.ts';
import { parseBackupRecord } from '../../../src/domain/native/record-text.ts';
import { coveredUpTo } from '../../../src/domain/native/wal-summaries.ts';
import { lsnOf, parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { BackupEngine, RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { createCluster, createTestArea, newestInstallation, type TestArea, type TestServer } from '../../harness/postgres.ts';
import { errorOf, until } from '../backup-engine/backup-engine.contract.ts';
import { createNative, flipByte, type NativeOptions, type NativeUnderTest } from '../backup-engine/native-fixture.ts';

const context: OperationContext = { signal: new AbortController().signal };
const { major, binDirectory } = await newestInstallation();
const can = major >= 17;

/** The rows of every table of the test, in a form that shows a block that is missing or old. */
const LEDGER =
  "select count(*) || ' ' || md5(string_agg(i || text, ',' order by i)) from (select * from plain union all select * from aside) as ledger";

let tested: NativeUnderTest;
let runs = 0;

function describeFrom17(name: string, tests: () => void): void {
  if (can) describe(name, tests);
  else
    describe(name, () => {
      it('is tried by npm run test:matrix', (testing) => testing.skip(`PostgreSQL ${major} has no incremental backups`));
    });
}

async function take(engine: BackupEngine, type: 'full' | 'incr' | 'diff'): Promise<{ record: BackupRecord; phases: readonly string[] }> {
  const phases: string[] = [];
  const [repository] = tested.repositories;
  const request = { repository, alsoInto: tested.repositories.slice(1), type, runId: `run-${(runs += 1)}` };
  const label = await engine.takeBackup(request, {
    ...context,
    onProgress: ({ phase }) => phases.push(phase),
  });
  return { record: await recordOf(label), phases };
}

const folderOf = (label: string, repository = tested.repositories[0]) => join(tested.rootOf(repository), 'backups', label);
const recordOf = async (label: BackupLabel) => parseBackupRecord(await readFile(join(folderOf(label), 'backup.json'), 'utf8'), label);

async function createTested(options: NativeOptions = {}): Promise<void> {
  tested = await createNative(options);
  await tested.engine.createRepositories(context);
  const { primary } = tested;
  await primary.sql(`create tablespace side location '${await tested.directory('place')}'`);
  await primary.sql('create table plain as select i, repeat(md5(i::text), 10) as text from generate_series(1, 20000) as i');
  await primary.sql(
    'create table aside tablespace side as select i, repeat(md5(i::text), 10) as text from generate_series(20001, 30000) as i',
  );
  await primary.sql('alter table plain add primary key (i)');
}

describeFrom17('a chain of native backups', () => {
  const labels: BackupLabel[] = [];
  const ledgers = new Map<BackupLabel, string>();
  let oid: number;
  let restores = 0;

  async function takeAndNote(type: 'full' | 'incr' | 'diff'): Promise<BackupRecord> {
    const { record, phases } = await take(tested.engine, type);
    expect(phases.filter((phase) => phase.includes('instead'))).toEqual([]);
    labels.push(record.label);
    ledgers.set(record.label, await tested.primary.sql(LEDGER));
    return record;
  }

  beforeAll(async () => {
    await createTested();
    oid = Number(await tested.primary.sql("select oid from pg_tablespace where spcname = 'side'"));
  });
  afterAll(() => tested.dispose());

  async function newRequest(label: BackupLabel): Promise<RestoreRequest> {
    restores += 1;
    return {
      ...{ repository: tested.repositories[0], label, target: { kind: 'immediate' }, timeline: 'current', targetAction: 'promote' },
      ...{ dataDirectory: await tested.directory(`r${restores}`), workDirectory: await tested.directory(`w${restores}`), resume: false },
      tablespaceMap: [{ oid, location: await tested.directory(`t=${restores}`) }],
    };
  }

  async function ledgerIn({ dataDirectory }: RestoreRequest): Promise<string> {
    const server = await tested.serverOn(dataDirectory);
    await server.start({ archive_mode: 'off', hot_standby: 'on', summarize_wal: 'off' });
    await until(server, 'select not pg_is_in_recovery()');
    const found = await server.sql(LEDGER);
    // Reads every row by the index as well, which was changed on its own blocks.
    expect(await server.sql('set enable_seqscan = off; select count(*) from plain where i > 0')).toBe(
      await server.sql('select count(*) from plain'),
    );
    await server.stop();
    return found;
  }

  const couldStart = ({ dataDirectory }: RestoreRequest) => existsSync(join(dataDirectory, 'global/pg_control'));

  it('holds of each but the first what has changed since the one before', async () => {
    const { primary } = tested;
    const full = await takeAndNote('full');
    await primary.sql("update plain set text = 'changed' where i % 400 = 0");
    await primary.sql('insert into aside select i, md5(i::text) from generate_series(30001, 30100) as i');
    const first = await takeAndNote('incr');
    await primary.sql('delete from plain where i > 19000');
    await primary.sql('vacuum plain');
    await primary.sql("update aside set text = 'again' where i % 500 = 0");
    const second = await takeAndNote('incr');
    await primary.sql('insert into plain select i, md5(i::text) from generate_series(40001, 40010) as i');
    const differential = await takeAndNote('diff');
    expect(first).toMatchObject({ type: 'incr', prior: full.label, references: [full.label] });
    expect(second).toMatchObject({ type: 'incr', prior: first.label, references: [full.label, first.label] });
    expect(differential).toMatchObject({ type: 'incr', prior: full.label, references: [full.label] });
    expect(first.fileBytes).toBeLessThan(full.fileBytes / 2n);
    // The cluster has grown a little; what the server says counts WAL out and is no sum of a manifest.
    expect(Number(first.databaseBytes) / Number(full.databaseBytes)).toBeCloseTo(1, 1);
  });

  it('is in every repository, byte for byte, and sound', async () => {
    const [one, two] = tested.repositories;
    for (const label of labels) execFileSync('diff', ['-r', folderOf(label, one), folderOf(label, two)]);
    for (const repository of tested.repositories)
      expect(await tested.reader.verifyRepository(repository, context)).toEqual({ ok: true, faults: [], damagedBackups: [] });
  });

  it('shows in the catalogue what is unpacked beside the database while it is restored', async () => {
    const { backups } = await tested.reader.readRepository(tested.repositories[0], { walArchive: false }, context);
    const records = await Promise.all(labels.map(recordOf));
    const [full, first, second] = records;
    const staged = (full?.fileBytes ?? 0n) + (first?.fileBytes ?? 0n) + (second?.fileBytes ?? 0n);
    expect(backups.map(({ stagedBytes }) => stagedBytes).slice(0, 3)).toEqual([
      undefined,
      (full?.fileBytes ?? 0n) + (first?.fileBytes ?? 0n),
      staged,
    ]);
  });

  it('is restored from each of its backups as the database was at that one', async () => {
    for (const label of labels) {
      const request = await newRequest(label);
      await tested.engine.restoreBackup(request, context);
      expect(readdirSync(request.dataDirectory).filter((name) => name.includes('spoke') || name.includes('combined'))).toEqual([]);
      expect(await ledgerIn(request), label).toBe(ledgers.get(label));
    }
  });

  it('is refused before anything is written where one of it is missing', async () => {
    const [, first = '', second] = labels;
    renameSync(folderOf(first), `${folderOf(first)}.aside`);
    const request = await newRequest(second as BackupLabel);
    const error = await errorOf(tested.engine.restoreBackup(request, context));
    renameSync(`${folderOf(first)}.aside`, folderOf(first));
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining(`it needs ${first}, which is not there`) });
    expect(readdirSync(request.dataDirectory)).toEqual([]);
  });

  it('is refused before anything is written where one of it says that it is relative to another', async () => {
    const [full, first = '', second] = labels;
    const path = join(folderOf(first), 'backup.json');
    const [text, sums] = [await readFile(path, 'utf8'), await readFile(join(folderOf(first), 'SHA256SUMS'), 'utf8')];
    const other = text.replaceAll(`"${full}"`, '"20200101-000000F"');
    await writeFile(path, other);
    await writeFile(join(folderOf(first), 'SHA256SUMS'), sums.replace(sha256(text), sha256(other)));
    const request = await newRequest(second as BackupLabel);
    const error = await errorOf(tested.engine.restoreBackup(request, context));
    await writeFile(path, text);
    await writeFile(join(folderOf(first), 'SHA256SUMS'), sums);
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining(`${first} is not relative to ${full}`) });
    expect(readdirSync(request.dataDirectory)).toEqual([]);
  });

  it.each([0, 2])('names the backup of it that is damaged, and leaves nothing that could start (%i)', async (which) => {
    const label = labels[which] ?? '';
    const mend = await flipByte(join(folderOf(label), 'base.tar.zst'));
    const request = await newRequest(labels[2] as BackupLabel);
    const error = await errorOf(tested.engine.restoreBackup(request, context));
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining(label) });
    expect(couldStart(request)).toBe(false);
    await mend();
    await tested.engine.restoreBackup({ ...request, resume: true }, context);
    expect(await ledgerIn(request)).toBe(ledgers.get(labels[2] as BackupLabel));
  });

  it.each(['combine', 'sync'])('leaves nothing that could start when it is interrupted at %s, and begins anew', async (phase) => {
    const request = await newRequest(labels[2] as BackupLabel);
    const stopping = new AbortController();
    const onProgress = (progress: { readonly phase: string }) => {
      if (progress.phase === phase) stopping.abort(new SpokeError('CANCELLED', 'enough'));
    };
    const error = await errorOf(tested.engine.restoreBackup(request, { signal: stopping.signal, onProgress }));
    expect(error.code).toBe('CANCELLED');
    expect(couldStart(request)).toBe(false);
    await tested.engine.restoreBackup({ ...request, resume: true }, context);
    expect(await ledgerIn(request)).toBe(ledgers.get(labels[2] as BackupLabel));
  });

  it('leaves nothing that could start when it is interrupted while it is combined', async () => {
    const request = await newRequest(labels[2] as BackupLabel);
    const stopping = new AbortController();
    const real = createProcessRunner();
    const run = async (process: Parameters<typeof real.run>[0]) => {
      const output = process.argv.find((one) => one.startsWith('--output='))?.slice('--output='.length);
      if (output === undefined) return real.run(process);
      const combining = real.run(process);
      void combining.catch(() => undefined);
      await expect.poll(() => existsSync(join(output, 'base')) || existsSync(join(output, 'backup_manifest')), { interval: 1 }).toBe(true);
      stopping.abort(new SpokeError('CANCELLED', 'enough'));
      return combining;
    };
    const { engine } = tested.withSettings({}, { runner: { run } });
    const error = await errorOf(engine.restoreBackup(request, { signal: stopping.signal }));
    expect(error.code).toBe('CANCELLED');
    expect(couldStart(request)).toBe(false);
    await tested.engine.restoreBackup({ ...request, resume: true }, context);
    expect(await ledgerIn(request)).toBe(ledgers.get(labels[2] as BackupLabel));
  });

  it('goes as a whole: a backup takes with it those that need it, or none of them goes', async () => {
    const [full = '', first, second, differential] = labels as [BackupLabel, BackupLabel, BackupLabel, BackupLabel];
    const [, two] = tested.repositories;
    const { expireBackup } = tested.engine;
    const stale = await errorOf(expireBackup({ repository: two, label: full as BackupLabel, dependents: [first, second] }, context));
    expect(stale.code).toBe('PLAN_STALE');
    const present = async () => (await tested.reader.readRepository(two, { walArchive: false }, context)).backups.map(({ label }) => label);
    expect(await present()).toEqual(labels);
    await expireBackup({ repository: two, label: first, dependents: [second] }, context);
    expect(await present()).toEqual([full, differential]);
    expect((await tested.reader.verifyRepository(two, context)).damagedBackups).toEqual([]);
    await expireBackup({ repository: two, label: full as BackupLabel, dependents: [differential] }, context);
    expect(await present()).toEqual([]);
  });
});

describeFrom17('an incremental native backup that cannot be one', () => {
  beforeAll(() => createTested());
  afterAll(() => tested.dispose());

  /** A server that was started with `-c` takes no other value at a reload. */
  const restartWith = async (settings: Readonly<Record<string, string>>) => {
    await tested.primary.stop();
    await tested.primary.start({ ...tested.engine.archivingSettings(), ...settings });
  };
  const expectFull = async (reason: string | RegExp, engine = tested.engine) => {
    const { record, phases } = await take(engine, 'incr');
    expect(record).toMatchObject({ type: 'full', references: [] });
    expect(record.fullBecause).toMatch(reason);
    expect(phases.filter((phase) => phase.includes('instead'))).toEqual([
      `a full backup instead of an incremental one: ${record.fullBecause}`,
    ]);
    return record;
  };
  /** WAL behind the newest backup, and a summary of it on disk. */
  const changeAndSummarize = async () => {
    const { primary } = tested;
    await primary.sql("update plain set text = 'other' where i % 1000 = 0");
    const reached = await primary.sql('select pg_current_wal_lsn()');
    await primary.sql('checkpoint');
    await until(primary, `select bool_or(end_lsn >= '${reached}') from pg_available_wal_summaries()`);
  };
  const removeSummaries = () => {
    const directory = join(tested.primary.dataDirectory, 'pg_wal/summaries');
    for (const name of readdirSync(directory)) rmSync(join(directory, name));
  };

  it('is a full one where there is nothing yet, and notes that', async () => {
    await expectFull('repository one has no backup yet that it could be relative to');
    expect((await take(tested.engine, 'incr')).record.type).toBe('incr');
  });

  it('is a full one where summaries of the WAL are gone', async () => {
    await changeAndSummarize();
    removeSummaries();
    await expectFull('WAL summaries are missing from ');
  });

  it('is a full one where PostgreSQL refuses what looked possible, in the same run', async () => {
    await changeAndSummarize();
    const postgres = createPostgresReader();
    const { engine } = tested.withSettings(
      {},
      {
        postgres: {
          ...postgres,
          async observeSummaries(address, since, inner) {
            const seen = await postgres.observeSummaries(address, since, inner);
            removeSummaries();
            return seen;
          },
        },
      },
    );
    const record = await expectFull(
      /^PostgreSQL refused: WAL summaries are required on timeline 1 from .* incomplete$|no summaries for/,
      engine,
    );
    expect((await take(tested.engine, 'incr')).record).toMatchObject({ type: 'incr', prior: record.label });
  });

  it('is a full one where WAL is not summarized', async () => {
    await restartWith({ summarize_wal: 'off' });
    await expectFull(/^summarize_wal is off$/);
    await restartWith({ summarize_wal: 'on' });
  });

  it('is a full one where the manifest of the one before is damaged', async () => {
    const { record } = await take(tested.engine, 'incr');
    const mend = await flipByte(join(folderOf(record.label), 'backup_manifest'));
    await expectFull(/^backup_manifest of .* in repository one cannot be used: /);
    await mend();
  });

  it('is a full one where data checksums were switched', async () => {
    await tested.primary.stop();
    await tested.area.run(join(binDirectory, 'pg_checksums'), ['--disable', '--no-sync', '-D', tested.primary.dataDirectory]);
    await tested.primary.start({ ...tested.engine.archivingSettings(), summarize_wal: 'on' });
    await expectFull('data checksums were switched off since ');
  });

  it('never crosses a change of timeline, and goes on along the new one only where it is that of the archive', async () => {
    const { primary } = tested;
    await primary.stop();
    // Recovery without a target: the server replays what it has and begins a timeline.
    await tested.area.run('touch', [join(primary.dataDirectory, 'recovery.signal')]);
    await primary.start({ ...tested.engine.archivingSettings(), summarize_wal: 'on', restore_command: 'false' });
    await until(primary, 'select not pg_is_in_recovery()');
    await expectFull(/is of timeline 1, and the server is on 2: a chain never crosses a change of timeline$/);
    expect((await take(tested.engine, 'incr')).record).toMatchObject({ type: 'incr', timeline: 2 });

    const [one] = tested.repositories;
    const history = join(tested.rootOf(one), 'wal/00000002.history.zst');
    const [stored, plain] = [await readFile(history), execFileSync('zstd', ['-dcq', history], { encoding: 'utf8' })];
    const other = plain.replace(/^1\t\S+/m, '1\t0/1000000');
    await writeFile(history, execFileSync('zstd', ['-cq'], { input: other }));
    await expectFull(/^timeline 2 of the server is another one than that of the archive: 1 to .*, and there 1 to 0\/1000000$/);
    await writeFile(history, stored);
  });

  it('observes what was summarized even where the role cannot see the history of the timeline', async () => {
    const { primary } = tested;
    const postgres = createPostgresReader();
    await primary.sql('create role poor login');
    const address = { kind: 'socket', socketDirectory: primary.socketDirectory, port: primary.port, user: 'poor' } as const;
    expect(await errorOf(postgres.readTimelineHistory(address, timelineIdOf(2), context))).toBeInstanceOf(SpokeError);
    // What was summarized every role may see; how large the cluster is, only some.
    const seen = await postgres.observeSummaries(address, lsnOf(0n), context);
    expect(seen.summaries.length).toBeGreaterThan(0);
    expect(seen.databaseBytes).toBeUndefined();
  });

  it('is a full one from a standby', async () => {
    const { primary } = tested;
    const directory = await tested.directory('standby');
    const from = ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres', '-D', directory];
    const moved = `${await tested.directory('standby-place')}`;
    const place = await primary.sql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'side'");
    await tested.area.run(join(binDirectory, 'pg_basebackup'), [
      ...from,
      ...['-X', 'stream', '-R', '--no-sync', '--checkpoint=fast', `--tablespace-mapping=${place}=${moved}`],
    ]);
    const standby = await tested.serverOn(directory);
    await standby.start({ hot_standby: 'on', summarize_wal: 'on' });
    await until(primary, "select count(*) = 1 from pg_stat_replication where state = 'streaming'");
    const { engine } = tested.withSettings({
      backupFrom: 'standby',
      nodes: [primary, standby].map(({ socketDirectory, port }, index) => ({
        name: ['primary', 'standby'][index] ?? '',
        address: async () => ({ kind: 'socket', socketDirectory, port, user: 'postgres' }),
      })),
    });
    const record = await expectFull(/^an incremental backup is taken from a primary only$/, engine);
    expect(record.source).toEqual({ node: 'standby', inRecovery: true });
    // And none is relative to what came from one.
    await expectFull(`${record.label} was taken from a standby`);
    await standby.stop();
  });

  it('observes what the summarizer has done as the server has it', async () => {
    const { primary } = tested;
    const address = { kind: 'socket', socketDirectory: primary.socketDirectory, port: primary.port, user: 'postgres' } as const;
    const seen = await createPostgresReader().observeSummaries(address, lsnOf(0n), context);
    const [since, until_] = (
      await primary.sql('select min(start_lsn), max(end_lsn) from pg_available_wal_summaries() where tli = 2')
    ).split('|');
    expect(coveredUpTo(seen.summaries, timelineIdOf(2), parseLsn(since ?? ''))).toBeGreaterThanOrEqual(parseLsn(until_ ?? ''));
    expect(seen.summarizer?.timeline).toBe(2);
    expect(seen.databaseBytes).toBeGreaterThan(10_000_000n);
  });
});

describeFrom17('incremental native backups for a public key', () => {
  const keys = execFileSync('age-keygen', [], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const recipients = [/public key: (\S+)/.exec(keys)?.[1] ?? ''];

  beforeAll(() => createTested({ settings: { encryption: { recipients } } }));
  afterAll(() => tested.dispose());

  const kept = () => join(tested.settings.directory, 'manifests');
  const promoteItself = async () => {
    const { primary } = tested;
    await primary.stop();
    await tested.area.run('touch', [join(primary.dataDirectory, 'recovery.signal')]);
    await primary.start({ ...tested.engine.archivingSettings(), summarize_wal: 'on', restore_command: 'false' });
    await until(primary, 'select not pg_is_in_recovery()');
  };

  it('need nothing that only the private key opens: the host keeps the manifests for itself', async () => {
    const { record } = await take(tested.engine, 'full');
    expect((await take(tested.engine, 'incr')).record).toMatchObject({ type: 'incr', references: [record.label] });
    for (const name of readdirSync(kept())) expect(statSync(join(kept(), name)).mode & 0o777).toBe(0o600);
    rmSync(kept(), { recursive: true });
    const next = await take(tested.engine, 'incr');
    expect(next.record).toMatchObject({ type: 'full', fullBecause: expect.stringContaining('was not kept') });
  });

  it('compare the history of the timeline with what the server said at the backup before', async () => {
    await promoteItself();
    const { record } = await take(tested.engine, 'incr');
    expect(record).toMatchObject({ type: 'full', timeline: 2, fullBecause: expect.stringContaining('never crosses') });
    const first = await take(tested.engine, 'incr');
    expect(first.record).toMatchObject({ type: 'incr', references: [record.label] });
    await writeFile(join(kept(), `${first.record.label}.history`), '1\t0/1000000\tno recovery target specified\n');
    expect((await take(tested.engine, 'incr')).record.fullBecause).toContain('timeline 2 of the server is another one');
  });

  it('keep the manifests of few', async () => {
    for (let count = 0; count < 4; count += 1) await take(tested.engine, 'incr');
    const manifests = readdirSync(kept()).filter((name) => name.endsWith('.manifest'));
    expect(manifests.filter((name) => name.includes('_'))).toHaveLength(3);
    expect(manifests.length).toBeLessThanOrEqual(6);
    expect(readdirSync(kept()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('are restored with the private key', async () => {
    const { record } = await take(tested.engine, 'incr');
    expect(record.type).toBe('incr');
    const identityFile = join(await tested.directory('keys'), 'key.txt');
    await writeFile(identityFile, keys, { mode: 0o600 });
    const { engine } = tested.withSettings({ encryption: { recipients, identityFile } });
    const oid = Number(await tested.primary.sql("select oid from pg_tablespace where spcname = 'side'"));
    await engine.restoreBackup(
      {
        ...{ repository: tested.repositories[0], label: record.label, target: { kind: 'immediate' }, timeline: 'current' },
        ...{
          dataDirectory: await tested.directory('r'),
          workDirectory: await tested.directory('w'),
          resume: false,
          targetAction: 'promote',
        },
        tablespaceMap: [{ oid, location: await tested.directory('t') }],
      },
      context,
    );
    expect(existsSync(join(tested.area.path, 'r/global/pg_control'))).toBe(true);
  });
});

interface Member {
  readonly label: BackupLabel;
  readonly directory: string;
  readonly tablespaces: [];
}

describeFrom17('pg_combinebackup', () => {
  const members: Member[] = [];
  let area: TestArea;
  let foreign: Member;
  let outputs = 0;

  beforeAll(async () => {
    area = await createTestArea();
    const primary = await createCluster(area, 'p');
    await primary.start({ summarize_wal: 'on' });
    for (const name of ['whole', 'first', 'second']) {
      await primary.sql(`create table ${name} as select generate_series(1, 1000)`);
      members.push(await copyOf(primary, name, members.at(-1)?.directory));
    }
    await primary.stop();
    const other = await createCluster(area, 'o');
    await other.start({ summarize_wal: 'on' });
    foreign = await copyOf(other, 'foreign', undefined);
  });
  afterAll(() => area.remove());

  async function copyOf({ socketDirectory, port }: TestServer, name: string, before: string | undefined): Promise<Member> {
    const directory = join(area.path, name);
    await area.run(join(binDirectory, 'pg_basebackup'), [
      ...['-h', socketDirectory, '-p', String(port), '-U', 'postgres', '-D', directory],
      ...['-X', 'none', '--no-sync', '--checkpoint=fast', ...(before === undefined ? [] : [`--incremental=${before}/backup_manifest`])],
    ]);
    return { label: name as BackupLabel, directory, tablespaces: [] };
  }

  const combine = (list: readonly Member[]) => {
    const outputDirectory = join(area.path, `output${(outputs += 1)}`);
    const settings = { binDirectoryOf: async () => binDirectory, user: area.owner };
    const parts = { settings, runner: createProcessRunner() } as never;
    const request = { members: list, postgresMajor: major, outputDirectory, tablespaces: [], lockFile: join(area.path, 'lock') };
    return { outputDirectory, done: combineMembers(parts, request, context) };
  };

  it('makes one database of several, with a manifest that fits it', async () => {
    const { outputDirectory, done } = combine(members);
    await done;
    await area.run(join(binDirectory, 'pg_verifybackup'), ['--no-parse-wal', '--quiet', outputDirectory]);
    expect(execFileSync('find', [outputDirectory, '-name', 'INCREMENTAL.*'], { encoding: 'utf8' })).toBe('');
  });

  it.each([
    { what: 'in the wrong order', pick: () => [members[0], members[2], members[1]], says: /starts at LSN/ },
    { what: 'without one between', pick: () => [members[0], members[2]], says: /starts at LSN/ },
    { what: 'without the full one', pick: () => [members[1], members[2]], says: /should be a full backup/ },
    { what: 'with the full one twice', pick: () => [members[0], members[0]], says: /should be a full backup/ },
    { what: 'with one of another cluster', pick: () => [foreign, members[1]], says: /expected system identifier/ },
  ])('is not given members $what: nothing is made', async ({ pick, says }) => {
    const { outputDirectory, done } = combine(pick().flatMap((member) => member ?? []));
    expect(await errorOf(done)).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringMatching(says) });
    expect(existsSync(outputDirectory)).toBe(false);
  });
});

describe('an incremental native backup before PostgreSQL 17', () => {
  it('is a full one, and says and notes why', async (testing) => {
    if (can) testing.skip(`PostgreSQL ${major} has incremental backups`);
    await createTested();
    try {
      await take(tested.engine, 'full');
      for (const type of ['incr', 'diff'] as const) {
        const { record, phases } = await take(tested.engine, type);
        const fullBecause = `PostgreSQL ${major} has no incremental backups; 17 and later have`;
        expect(record).toMatchObject({ type: 'full', references: [], fullBecause });
        expect(phases).toContain(`a full backup instead of an incremental one: ${fullBecause}`);
      }
    } finally {
      await tested.dispose();
    }
  });
});

function sha256(text: string): string {
  return execFileSync('sha256sum', { input: text, encoding: 'utf8' }).slice(0, 64);
}
