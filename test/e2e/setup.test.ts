import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Document } from 'yaml';
import type { LabNode } from '../../src/lab/description.ts';
import { outputOf, PROGRAM, spoke, spokeError, spokeJson } from '../harness/cli.ts';
import { freePort } from '../harness/free-port.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';
import { TestPgBouncer } from '../harness/pgbouncer.ts';
import { configurationWith } from './support/config.ts';
import { runsIn } from './support/journal.ts';

/** In every password, and the same however a password is escaped or encoded. */
const MARK = 'oPenSesaMe';
const ODD = `it's "odd" \\ \\\\ #${MARK} é € ü 密码 %41 : ; $(id) `;
const PASSWORDS = { replication: `r${ODD}`, backup: `b${ODD}`, admin: `a${ODD}`, app: `p${ODD}` };
const APP = `it's "app" #1\\ é`;
const BACKUP_ROLE = `back'up #é`;

interface Shown {
  readonly changes: boolean;
  readonly plan: { readonly steps: readonly { readonly id: string; readonly kind: string }[]; readonly warnings: readonly string[] };
}

/** In the order in which somebody would do it whose standbys run already. */
describe('the set-up of a cluster with PgBouncer in front', () => {
  const lab = useLab({ nodes: 3, s3: false });
  let config: string;
  let port: number;
  let bouncer: TestPgBouncer | undefined;

  const path = (name: string) => join(lab().directory, name);
  const nodes = () => [lab().primary, ...lab().description.standbys];

  beforeAll(async () => {
    for (const [name, password] of Object.entries(PASSWORDS)) await secret(name, password);
    await lab().makeDirectory('bouncer');
    port = await freePort();
    config = await configurationWith(lab(), 'whole', describeCluster);
    const [role] = await querySocket<{ statement: string }>(
      lab().primary,
      `SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text) AS statement`,
      [APP, PASSWORDS.app],
    );
    await querySocket(lab().primary, role?.statement ?? '');
    await querySocket(lab().primary, 'ALTER SYSTEM SET log_statement = "all"');
    // As PostgreSQL comes, which the lab's servers are not. On the standbys first.
    for (const node of [...lab().description.standbys, lab().primary]) {
      await querySocket(node, 'ALTER SYSTEM SET max_connections = 100');
      await lab().stop(node.dataDirectory);
      await lab().start(node.dataDirectory, node);
    }
    await lab().backup('full');
  }, 120_000);
  afterAll(() => bouncer?.stop());

  function configuration() {
    const of = (name: string) => `\${file:${path(`secrets/${name}`)}}`;
    return {
      replication: { role: 'replicator', password: of('replication') },
      backupRole: { role: BACKUP_ROLE, password: { passwordCommand: ['cat', path('secrets/backup')] } },
      pgbouncer: [
        {
          name: 'front',
          adminUrl: `postgresql://keeper@127.0.0.1:${port}/pgbouncer`,
          password: of('admin'),
          configFile: path('bouncer/pgbouncer.ini'),
          userListFile: path('bouncer/userlist.txt'),
          databases: { app: { to: 'primary', database: 'postgres' }, app_ro: { to: 'standbys', database: 'postgres' } },
          settings: { listen_addr: '127.0.0.1', unix_socket_dir: '', min_pool_size: 0, logfile: path('bouncer/log') },
        },
      ],
      endpoints: { file: path('endpoints.env'), user: APP, hook: ['cp', path('endpoints.env'), path('told')] },
    };
  }

  function describeCluster(document: Document.Parsed): void {
    for (const [name, value] of Object.entries(configuration())) document.setIn(['clusters', 'lab', name], document.createNode(value));
  }

  async function secret(name: string, password: string): Promise<void> {
    const file = path(`secrets/${name}`);
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    await chown(file, lab().owner.uid, lab().owner.gid);
  }

  const show = (...part: readonly string[]) => spokeJson<Shown>(['setup', ...part], { config });
  const apply = (...part: readonly string[]) => spokeJson(['setup', ...part, '--apply', '--confirm', 'lab'], { config });

  async function expectNothingLeftToDo(...part: readonly string[]): Promise<void> {
    const before = writtenFiles();
    expect(await show(...part)).toMatchObject({ changes: false });
    await apply(...part);
    expect(writtenFiles()).toEqual(before);
  }

  /** What a set-up can write, with what is in it. */
  function writtenFiles(): Readonly<Record<string, string>> {
    const ofNodes = nodes().flatMap(({ dataDirectory }) => [
      join(dataDirectory, 'pg_hba.conf'),
      join(dataDirectory, 'postgresql.auto.conf'),
      `${dataDirectory}.pgpass`,
    ]);
    const all = [...ofNodes, path('bouncer/pgbouncer.ini'), path('bouncer/userlist.txt'), path('endpoints.env')];
    return Object.fromEntries(
      all.filter((file) => statSync(file, { throwIfNoEntry: false }) !== undefined).map((file) => [file, text(file)]),
    );
  }

  const text = (file: string) => readFileSync(file, 'utf8');
  const settingOf = async (node: LabNode, name: string) =>
    (await querySocket<{ value: string }>(node, 'SELECT current_setting($1) AS value', [name]))[0]?.value;

  async function expectReplayed(): Promise<void> {
    await querySocket(lab().primary, 'CREATE TABLE IF NOT EXISTS seen (n int)');
    await querySocket(lab().primary, 'INSERT INTO seen VALUES (1)');
    const [row] = await querySocket<{ lsn: string }>(lab().primary, 'SELECT pg_current_wal_flush_lsn() AS lsn');
    for (const node of lab().description.standbys)
      await until(`${node.name} has replayed it`, async () => {
        const [answer] = await querySocket<{ done: boolean }>(node, 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done', [row?.lsn]);
        return answer?.done === true;
      });
  }

  test('is shown and not done where nobody says --apply', async () => {
    const before = { files: writtenFiles(), runs: runsIn(lab().description.stateDirectory) };
    for (const part of [['primary'], ['replica', 'replica-1'], ['pgbouncer'], ['endpoints']])
      expect(await show(...part)).toMatchObject({ changes: true });
    expect({ files: writtenFiles(), runs: runsIn(lab().description.stateDirectory) }).toEqual(before);
  });

  test('gives the primary its roles and settings, but none by which replay would stop on a standby', async () => {
    const { plan } = await show('primary');
    expect(plan.warnings.join()).toContain('replay would stop on replica-1, replica-2');
    await apply('primary');
    expect(await settingOf(lab().primary, 'max_connections')).toBe('100');
    expect(await settingOf(lab().primary, 'max_slot_wal_keep_size')).toBe('8GB');
    const client = new pg.Client({
      host: '127.0.0.1',
      port: lab().primary.port,
      user: BACKUP_ROLE,
      password: PASSWORDS.backup,
      database: 'postgres',
    });
    await client.connect();
    await client.query(`SELECT pg_backup_start('x', true)`);
    await client.query('SELECT pg_backup_stop(false)');
    await expect(client.query('SELECT rolpassword FROM pg_authid')).rejects.toThrow('permission denied');
    await client.end();
  });

  test('gives each standby what it connects with, and the primary then what they have', async () => {
    for (const { name } of lab().description.standbys) {
      await apply('replica', name);
      await expectNothingLeftToDo('replica', name);
    }
    await apply('primary');
    await expectNothingLeftToDo('primary');
    for (const node of nodes()) expect(await settingOf(node, 'max_connections')).toBe('200');
    await expectReplayed();
    for (const { dataDirectory } of lab().description.standbys) {
      expect(statSync(`${dataDirectory}.pgpass`).mode & 0o777).toBe(0o600);
      expect(text(join(dataDirectory, 'postgresql.auto.conf'))).toContain(`${dataDirectory}.pgpass`);
    }
  });

  test('has a standby fetch from the archive what its primary does not send it, and never end of trouble there', async () => {
    const replica = lab().node('replica-1');
    const command = await settingOf(replica, 'restore_command');
    expect(command).toContain('archive-get');
    // Nothing but the archive can bring it.
    await querySocket(replica, `ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms'`);
    await querySocket(replica, `ALTER SYSTEM SET primary_conninfo = ''`);
    await querySocket(replica, 'SELECT pg_reload_conf()');
    await until('nothing streams to it', async () => (await receivers(replica)) === 0);
    await querySocket(lab().primary, 'CREATE TABLE archived ()');
    await querySocket(lab().primary, 'SELECT pg_switch_wal()');
    await until('it has what was archived', async () => (await tables(replica, 'archived')) === 1);
    await apply('replica', 'replica-1');
    await expectNothingLeftToDo('replica', 'replica-1');
    expect(await settingOf(replica, 'restore_command')).toBe(command);
    // Without its configuration pgBackRest fails with more than 1. A standby that begins asks the archive first.
    const conf = path('state/pgbackrest/lab/pgbackrest.conf');
    renameSync(conf, `${conf}.away`);
    await lab().stop(replica.dataDirectory);
    await lab().start(replica.dataDirectory, replica);
    await until('it streams', async () => (await receivers(replica)) === 1);
    renameSync(`${conf}.away`, conf);
    await expectReplayed();
  });

  const receivers = async (node: LabNode) =>
    (await querySocket(node, `SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'`)).length;
  const tables = async (node: LabNode, name: string) => (await querySocket(node, 'SELECT FROM pg_class WHERE relname = $1', [name])).length;

  test('writes for PgBouncer what it starts with, and changes nothing once it has', async () => {
    const keeper = { port, user: 'keeper', password: PASSWORDS.admin };
    await apply('pgbouncer');
    bouncer = await TestPgBouncer.start(path('bouncer/pgbouncer.ini'), keeper, lab().owner);
    await expectNothingLeftToDo('pgbouncer');
    expect(statSync(path('bouncer/userlist.txt')).mode & 0o777).toBe(0o600);
    expect(text(path('bouncer/userlist.txt')).match(/"SCRAM-SHA-256\$[^"]+"$/gm)).toHaveLength(
      text(path('bouncer/userlist.txt')).trim().split('\n').length,
    );
  });

  test.each([
    ['app', 'a primary', false],
    ['app_ro', 'a standby', true],
  ])('lets clients in to %s, which is %s, by an odd name and password and by no other', async (database, _what, isStandby) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: APP, password: PASSWORDS.app, database });
    await client.connect();
    const { rows } = await client.query('SELECT current_user AS who, pg_is_in_recovery() AS standby');
    expect(rows).toEqual([{ who: APP, standby: isStandby }]);
    const pools = (await bouncer?.show('POOLS')) ?? [];
    expect(pools).toContainEqual(expect.objectContaining({ database, user: APP, cl_active: expect.anything() }));
    await client.end();
    const wrong = new pg.Client({ host: '127.0.0.1', port, user: APP, password: PASSWORDS.app.trim(), database });
    await expect(wrong.connect()).rejects.toThrow();
  });

  test('tells applications where the servers are, and the hook once', async () => {
    await apply('endpoints');
    await expectNothingLeftToDo('endpoints');
    expect(text(path('told'))).toBe(text(path('endpoints.env')));
    const [primary, ...standbys] = nodes().map((node) => `127.0.0.1:${node.port}/postgres`);
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text(path('endpoints.env')))?.[1]?.split(',') ?? [];
    expect(value('SPOKE_POSTGRES_URL').map((url) => url.split('@')[1])).toEqual([primary]);
    expect(value('SPOKE_POSTGRES_REPLICA_URLS').map((url) => url.split('@')[1])).toEqual(standbys);
    expect(decodeURIComponent(new URL(value('SPOKE_POSTGRES_URL')[0] ?? '').username)).toBe(APP);
  });

  test('leaves a cluster in which nothing is the matter, as status and doctor see it', async () => {
    const status = await spokeJson<{ nodes: readonly object[]; pgbouncer: readonly object[] }>(['status'], { config });
    expect(status.nodes).toMatchObject([{ state: 'primary' }, { state: 'standby' }, { state: 'standby' }]);
    expect(status.pgbouncer).toMatchObject([{ name: 'front', state: 'serving' }]);
    expect(await spokeJson(['doctor'], { config })).toMatchObject({ findings: [] });
    await bouncer?.tell('PAUSE app');
    const { document, exitCode } = await spoke(['doctor'], { config });
    await bouncer?.tell('RESUME app');
    expect({ document, exitCode }).toMatchObject({ exitCode: 3, document: { findings: [{ code: 'pgbouncer-paused' }] } });
  });

  test('is refused under hostile names, with nothing done', async () => {
    const before = { files: writtenFiles(), runs: runsIn(lab().description.stateDirectory), names: readdirSync(lab().directory) };
    const given = ['x; rm -rf /', `$(touch ${path('pwned')})`, '../', '../../etc', 'primary-1', 'a\nb', ''];
    await Promise.all(
      given.map(async (name) => {
        const { code } = await spokeError(['setup', 'replica', name, '--apply'], { config });
        expect(code, JSON.stringify(name)).toMatch(/^(USAGE|REFUSED_PRECONDITION)$/);
      }),
    );
    const names = ['x; rm -rf /', `$(touch ${path('pwned')})`, '../', '-oProxyCommand=id', 'a\nb', 'nul\0', ''];
    const places = [
      ['pgbouncer', 0, 'name'],
      ['pgbouncer', 0, 'configFile'],
      ['endpoints', 'file'],
      ['nodes', 0, 'ssh', 'host'],
    ];
    const configurations = await Promise.all(
      names.map((name, index) =>
        configurationWith(lab(), `hostile-${index}`, (document) => {
          describeCluster(document);
          for (const place of places) document.setIn(['clusters', 'lab', ...place], name);
        }),
      ),
    );
    await Promise.all(
      configurations.map(async (hostile) => {
        const { document } = await spoke(['setup', 'pgbouncer', '--apply'], { config: hostile });
        const { error } = document as { error: { code: string } };
        expect(error.code, hostile).toBe('CONFIG_INVALID');
        for (const place of ['pgbouncer[0].name', 'pgbouncer[0].configFile', 'endpoints.file', 'nodes[0].ssh.host'])
          expect(JSON.stringify(error), hostile).toContain(`clusters.lab.${place}`);
      }),
    );
    const after = { files: writtenFiles(), runs: runsIn(lab().description.stateDirectory), names: readdirSync(lab().directory) };
    expect({ ...after, names: after.names.filter((name) => !name.startsWith('hostile-')) }).toEqual(before);
  });

  test('puts no password on a command line, and none into an environment', async () => {
    const trace = path('trace');
    // So that there is something to do in which each password is needed.
    await querySocket(lab().primary, 'ALTER ROLE replicator PASSWORD NULL');
    await querySocket(lab().primary, `ALTER ROLE "${BACKUP_ROLE}" PASSWORD NULL`);
    writeFileSync(path('bouncer/userlist.txt'), '');
    writeFileSync(`${lab().node('replica-1').dataDirectory}.pgpass`, '');
    for (const part of [['primary'], ['replica', 'replica-1'], ['pgbouncer'], ['endpoints']]) {
      const argv = [
        '-f',
        '-qq',
        '-v',
        '--seccomp-bpf',
        '-e',
        'trace=execve',
        '-s',
        '100000',
        '-o',
        trace,
        PROGRAM,
        'setup',
        ...part,
        '--apply',
      ];
      await outputOf('strace', argv, { config });
      expect(text(trace)).toContain('execve(');
      expect(text(trace)).not.toContain(MARK);
    }
    await expectReplayed();
    expect(text(`${lab().node('replica-1').dataDirectory}.pgpass`)).toContain(MARK);
  });

  test('leaves a password in no file but those of the secrets and the passfiles, and no verifier in a log', () => {
    const files = readdirSync(lab().directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const holding = files.filter((file) => readFileSync(file).includes(MARK)).map((file) => relative(lab().directory, file));
    expect(holding.filter((file) => !file.startsWith('secrets/')).toSorted()).toEqual(['replica-1/data.pgpass', 'replica-2/data.pgpass']);
    const logs = files.filter((file) => /(\.log|bouncer\/log)$/.test(file));
    expect(logs.length).toBeGreaterThanOrEqual(4);
    expect(logs.filter((log) => /SCRAM-SHA-256\$\d/.test(text(log)))).toEqual([]);
    // It would have been in there.
    expect(logs.filter((log) => text(log).includes('SET LOCAL log_statement')).length).toBeGreaterThan(0);
  });
});
