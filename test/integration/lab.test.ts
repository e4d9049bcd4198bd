import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processesBelow } from '../../scripts/vitest/test-root.ts';
import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { openObjectStore } from '../../src/adapters/s3/object-store.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { resolveNodeUrl } from '../../src/config/resolve-secret.ts';
import { SpokeError } from '../../src/errors.ts';
import { findOnlyLab, type LabDescription } from '../../src/lab/description.ts';
import { labDown } from '../../src/lab/down.ts';
import { labExec } from '../../src/lab/exec.ts';
import { ensureCeph } from '../../src/lab/s3-server/ceph-install.ts';
import { labStatus } from '../../src/lab/status.ts';
import { labUp, type LabUpContext, type LabUpOptions } from '../../src/lab/up.ts';

const processes = createProcessRunner();
const lines: string[] = [];
const never = new AbortController().signal;
const context: LabUpContext = {
  processes,
  instances: createInstanceReader({ runner: processes }),
  signal: never,
  report: (line) => lines.push(line),
};

/** The server account, as which data directories are readable. */
async function runAs(user: string | undefined, file: string, argv: readonly string[]): Promise<string> {
  const account = user === undefined || process.getuid?.() !== 0 ? undefined : await context.instances.findUser(user);
  const result = await processes.run({ file, argv, signal: never, timeoutMs: 60_000, ...(account && { user: account }) });
  expect(result.exitCode, `${file} ${argv.join(' ')}\n${result.stdout}\n${result.stderrTail}`).toBe(0);
  return result.stdout.trim();
}

function sql(url: string, statement: string): Promise<string> {
  return runAs(undefined, 'psql', [url, '--no-psqlrc', '--tuples-only', '--no-align', '--command', statement]);
}

async function expectNothingLeft(directory: string): Promise<void> {
  expect(existsSync(directory)).toBe(false);
  expect(processesBelow(directory)).toEqual([]);
}

async function errorCodeOf(work: Promise<unknown>): Promise<string> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown instanceof SpokeError ? thrown.code : `not a SpokeError: ${String(thrown)}`;
}

// The first time the S3 server is fetched, which takes as long as the network likes.
beforeAll(async () => {
  await ensureCeph(context);
}, 900_000);

describe('a lab with three nodes', () => {
  let lab: LabDescription;

  beforeAll(async () => {
    lab = await labUp({ tablespace: true }, context);
  }, 120_000);

  afterAll(async () => {
    await labDown(lab.directory, context);
    await expectNothingLeft(lab.directory);
  });

  test('has a primary from which both standbys stream, each on a slot of its own', async () => {
    expect([lab.primary, ...lab.standbys].map((node) => node.name)).toEqual(['primary-1', 'replica-1', 'replica-2']);
    expect(await sql(lab.primary.url, 'SELECT pg_is_in_recovery()')).toBe('f');
    const streaming = `SELECT application_name || ' ' || slot_name || ' ' || state FROM pg_stat_replication r
      JOIN pg_replication_slots s ON s.active_pid = r.pid ORDER BY 1`;
    expect(await sql(lab.primary.url, streaming)).toBe('replica-1 replica_1 streaming\nreplica-2 replica_2 streaming');
    for (const standby of lab.standbys) expect(await sql(standby.url, 'SELECT pg_is_in_recovery()')).toBe('t');
  });

  test('keeps what is committed: data checksums, fsync, WAL for standbys and archive', async () => {
    const names = ['data_checksums', 'fsync', 'wal_level', 'wal_log_hints', 'archive_mode', 'archive_command'];
    const values = await sql(
      lab.primary.url,
      `SELECT string_agg(coalesce(current_setting(n), ''), ',' ORDER BY o)
      FROM unnest(ARRAY['${names.join("','")}']) WITH ORDINALITY AS s(n, o)`,
    );
    expect(values).toBe('on,on,replica,on,on,');
  });

  test('replicates a table in the tablespace to every standby, each with a place of its own', async () => {
    await sql(lab.primary.url, 'CREATE TABLE there TABLESPACE lab_tablespace AS SELECT 42 AS answer');
    const lsn = await sql(lab.primary.url, 'SELECT pg_current_wal_lsn()');
    for (const standby of lab.standbys) {
      await expect.poll(() => sql(standby.url, `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`)).toBe('t');
      expect(await sql(standby.url, 'SELECT answer FROM there')).toBe('42');
      expect(await sql(standby.url, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'lab_tablespace'")).toBe(
        join(lab.directory, standby.name, 'tablespace'),
      );
    }
  });

  test('asks for a password by TCP, and takes the one in its password file', async () => {
    const address = `postgresql://postgres@127.0.0.1:${lab.primary.port}/postgres`;
    const request = { file: 'psql', argv: [address, '-w', '-Atc', 'SELECT 1'], signal: never, timeoutMs: 10_000 };
    const refused = await processes.run(request);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderrTail).toContain('no password supplied');
    const password = (await readFile(lab.passwordFile, 'utf8')).split('\n')[0]?.split(':')[4] ?? '';
    expect((await processes.run({ ...request, environment: { PGPASSWORD: password } })).stdout).toBe('1\n');
  });

  test('has a configuration that the loader takes, with secrets that can be read', async () => {
    const configuration = await loadConfiguration({ path: lab.config, environment: {} });
    const cluster = configuration.clusters.get('lab')!;
    expect(cluster.nodes.map((node) => node.name)).toEqual(['primary-1', 'replica-1', 'replica-2']);
    expect(cluster.repositories.map((repository) => repository.kind)).toEqual(['local', 's3']);
    const url = await resolveNodeUrl(cluster.nodes[0]!, { environment: {}, processes, signal: never });
    expect(await sql(url!, 'SELECT current_user')).toBe('postgres');
  });

  test('writes secrets into files of mode 0600 only', async () => {
    const secrets = await Promise.all(
      [lab.s3!.accessKeyFile, lab.s3!.secretKeyFile, lab.passwordFile].map((path) => readFile(path, 'utf8')),
    );
    for (const path of [lab.s3!.accessKeyFile, lab.s3!.secretKeyFile, lab.passwordFile])
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    const open = `${await readFile(lab.config, 'utf8')}${await readFile(join(lab.directory, 'lab.json'), 'utf8')}${lines.join('\n')}`;
    for (const secret of secrets.flatMap((text) =>
      text
        .trim()
        .split('\n')
        .map((line) => line.split(':').at(-1)!),
    ))
      expect(open).not.toContain(secret);
  });

  test('has an S3 server that answers by TLS with its own certificate, to the right keys', async () => {
    const s3 = lab.s3!;
    const accessKey = (await readFile(s3.accessKeyFile, 'utf8')).trim();
    const secretKey = (await readFile(s3.secretKeyFile, 'utf8')).trim();
    const connection = { endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, accessKey, secretKey, caFile: s3.caFile! };
    const store = await openObjectStore(connection);
    expect(await store.bucketExists(never)).toBe(true);
    await store.put('try/one', 'first', never);
    await store.put('try/two', 'second', never);
    expect(Buffer.from((await store.get('try/one', never))!).toString()).toBe('first');
    expect(await store.get('try/three', never)).toBeUndefined();
    expect(await store.list('try/', never)).toMatchObject([
      { key: 'try/one', sizeBytes: 5 },
      { key: 'try/two', sizeBytes: 6 },
    ]);
    await store.delete('try/one', never);
    await store.delete('try/two', never);
    expect(await store.list('try/', never)).toMatchObject([]);
    store.close();

    const forger = await openObjectStore({ ...connection, secretKey: 'wrong' });
    expect(await errorCodeOf(forger.list('', never))).toBe('REPOSITORY_DENIED');
    forger.close();
    const { caFile: _, ...withoutCa } = connection;
    const distrustful = await openObjectStore(withoutCa);
    expect(await errorCodeOf(distrustful.list('', never))).toBe('REPOSITORY_UNAVAILABLE');
    distrustful.close();
  });

  test('lets pgbackrest make a stanza in both repositories', async () => {
    const s3 = lab.s3!;
    const options = {
      'repo1-path': join(lab.directory, 'repository'),
      'repo2-type': 's3',
      'repo2-path': '/by-hand',
      'repo2-s3-endpoint': s3.endpoint.replace('https://', ''),
      'repo2-s3-bucket': s3.bucket,
      'repo2-s3-region': s3.region,
      'repo2-s3-uri-style': 'path',
      'repo2-storage-ca-file': s3.caFile!,
      'repo2-s3-key': (await readFile(s3.accessKeyFile, 'utf8')).trim(),
      'repo2-s3-key-secret': (await readFile(s3.secretKeyFile, 'utf8')).trim(),
      'lock-path': join(lab.directory, 'pgbackrest/lock'),
      'log-level-file': 'off',
    };
    const primary = { 'pg1-path': lab.primary.dataDirectory, 'pg1-socket-path': lab.primary.socketDirectory, 'pg1-port': lab.primary.port };
    const section = (name: string, values: object) =>
      `[${name}]\n${Object.entries(values)
        .map(([key, value]) => `${key}=${String(value)}\n`)
        .join('')}`;
    const file = join(lab.stateDirectory, 'by-hand.conf');
    await writeFile(file, section('global', options) + section('by-hand', primary), { mode: 0o644 });
    await runAs(lab.osUser, 'pgbackrest', [`--config=${file}`, '--stanza=by-hand', 'stanza-create']);
    const info = await runAs(lab.osUser, 'pgbackrest', [`--config=${file}`, '--stanza=by-hand', '--output=json', 'info']);
    const [stanza] = JSON.parse(info) as { repo: { key: number; status: { code: number } }[] }[];
    // 2: no valid backups. 1 would be: missing stanza.
    expect(stanza?.repo.map((repo) => [repo.key, repo.status.code])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    await rm(file);
  });

  test('can serve as the S3 server of another lab, which gives the bucket back as it was', async () => {
    const s3 = lab.s3!;
    const accessKey = (await readFile(s3.accessKeyFile, 'utf8')).trim();
    const secretKey = (await readFile(s3.secretKeyFile, 'utf8')).trim();
    const environment = {
      SPOKE_LAB_S3_ENDPOINT: s3.endpoint,
      SPOKE_LAB_S3_BUCKET: s3.bucket,
      SPOKE_LAB_S3_ACCESS_KEY: accessKey,
      SPOKE_LAB_S3_SECRET_KEY: secretKey,
      SPOKE_LAB_S3_REGION: s3.region,
      SPOKE_LAB_S3_CA_FILE: s3.caFile!,
    };
    const guest = await labUp({ nodes: 1 }, { ...context, environment });
    const store = await openObjectStore({ ...s3, accessKey, secretKey });
    expect(guest.s3).toMatchObject({ kind: 'external', endpoint: s3.endpoint, bucket: s3.bucket });
    await store.put(`${guest.s3!.pathPrefix.slice(1)}/archive/one`, 'of the guest', never);
    await store.put(`${guest.s3!.pathPrefix.slice(1)}-other/one`, 'of the host', never);
    await labDown(guest.directory, context);
    await expectNothingLeft(guest.directory);
    expect((await store.list(guest.s3!.pathPrefix.slice(1), never)).map((object) => object.key)).toEqual([
      `${guest.s3!.pathPrefix.slice(1)}-other/one`,
    ]);
    store.close();
  });

  test('tells what runs in it', async () => {
    const status = await labStatus(lab.directory);
    expect(status.state).toBe('ready');
    expect(status.nodes.map((node) => node.listening)).toEqual([true, true, true]);
    expect(status.s3?.listening).toBe(true);
    expect(status.processes.map((each) => each.name).sort()).toEqual(['primary-1', 'replica-1', 'replica-2', 's3-mon', 's3-osd', 's3-rgw']);
    expect(status.ended).toEqual([]);
  });

  test('is found where no directory is named', async () => {
    expect(await findOnlyLab()).toBe(lab.directory);
  });

  test('runs commands with the primary as their server, and hands their exit code on', async () => {
    expect(await labExec(lab.directory, ['psql', '-qc', 'CREATE TABLE made_by_exec ()'])).toBe(0);
    expect(await sql(lab.primary.url, "SELECT to_regclass('made_by_exec') IS NOT NULL")).toBe('t');
    expect(await labExec(lab.directory, ['sh', '-c', 'exit 7'])).toBe(7);
    expect(await labExec(lab.directory, ['sh', '-c', 'kill -KILL $$'])).toBe(137);
    expect(await errorCodeOf(labExec(lab.directory, ['no-such-program']))).toBe('TOOL_MISSING');
  });
});

describe('taking a lab down', () => {
  test('ends servers that were started later, survives dead ones, and spares what merely stands in the directory', async () => {
    const lab = await labUp({ nodes: 2 }, context);
    const copy = join(lab.directory, 'primary-1', 'copy');
    const bystander = spawn('sleep', ['600'], { cwd: lab.directory, stdio: 'ignore' });
    try {
      await runAs(lab.osUser, join(lab.postgresqlBinDirectory, 'pg_basebackup'), [
        '-D',
        copy,
        '-d',
        lab.primary.url,
        '-c',
        'fast',
        '--no-sync',
      ]);
      const settings = '-c port=1 -c listen_addresses= -c cluster_name=restored';
      await runAs(lab.osUser, join(lab.postgresqlBinDirectory, 'pg_ctl'), [
        'start',
        '-w',
        '-D',
        copy,
        '-l',
        join(copy, 'log'),
        '-o',
        settings,
      ]);
      const { processes: living } = await labStatus(lab.directory);
      expect(living.map((each) => each.name).sort()).toEqual(['postgres', 'primary-1', 'replica-1', 's3-mon', 's3-osd', 's3-rgw']);
      for (const name of ['replica-1', 's3-osd']) process.kill(living.find((each) => each.name === name)!.pid, 'SIGKILL');
      await expect.poll(async () => (await labStatus(lab.directory)).ended.toSorted()).toEqual(['replica-1', 's3-osd']);

      expect(await labDown(lab.directory, context)).toMatchObject({ existed: true });
      expect(existsSync(lab.directory)).toBe(false);
      expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
      expect(processesBelow(lab.directory)).toEqual([]);
    } finally {
      await exitOf(bystander, 'SIGKILL');
      await labDown(lab.directory, context);
    }
    expect(await labDown(lab.directory, context)).toEqual({ schema: 1, directory: lab.directory, existed: false, endedProcesses: 0 });
  });

  test('refuses a directory that is not a lab, and touches nothing in it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'other-'));
    await writeFile(join(directory, 'precious'), 'data');
    expect(await errorCodeOf(labDown(directory, context))).toBe('REFUSED_UNSAFE_DIRECTORY');
    await writeFile(join(directory, 'lab.json'), '{"schema":1,"kind":"spoke-backup lab","directory":"/somewhere/else"}');
    expect(await errorCodeOf(labDown(directory, context))).toBe('REFUSED_UNSAFE_DIRECTORY');
    await symlink(directory, `${directory}-link`);
    expect(await errorCodeOf(labDown(`${directory}-link`, context))).toBe('REFUSED_UNSAFE_DIRECTORY');
    expect(await readFile(join(directory, 'precious'), 'utf8')).toBe('data');
    await rm(`${directory}-link`);
    await rm(directory, { recursive: true });
  });

  test('refuses while another process still makes the lab', async () => {
    const directory = join(tmpdir(), 'busy');
    const host = startHost(directory, { nodes: 1, s3: false });
    await host.line(/making primary-1/);
    host.child.kill('SIGSTOP');
    expect(await errorCodeOf(labDown(directory, context))).toBe('LOCKED');
    await exitOf(host.child, 'SIGKILL');
    await labDown(directory, context);
    await expectNothingLeft(directory);
  });
});

describe('a lab up that ends early', () => {
  test.for([/making primary-1/, /S3 server: Ceph/, /making replica-2/])(
    'killed after %s, it is taken down without a trace',
    async (line) => {
      const directory = join(tmpdir(), 'killed');
      const host = startHost(directory, {});
      await host.line(line);
      await exitOf(host.child, 'SIGKILL');
      await labDown(directory, context);
      await expectNothingLeft(directory);
    },
  );

  test('killed within its first moments, it is taken down without a trace', async () => {
    for (const delayMs of [0, 40, 90, 160, 250, 400]) {
      const directory = join(tmpdir(), 'killed');
      const host = startHost(directory, { nodes: 1 });
      await expect.poll(() => existsSync(directory), { interval: 1, timeout: 30_000 }).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await exitOf(host.child, 'SIGKILL');
      await labDown(directory, context);
      await expectNothingLeft(directory);
    }
  });

  test('cancelled, it takes down what it has made', async () => {
    const cancel = new AbortController();
    const directory = join(tmpdir(), 'cancelled');
    const report = (line: string) => {
      if (line.includes('making replica-1')) cancel.abort();
    };
    expect(await errorCodeOf(labUp({ directory }, { ...context, signal: cancel.signal, report }))).toBe('CANCELLED');
    await expectNothingLeft(directory);
  });

  test('failing to set up archiving, it takes down what it has made and says why', async () => {
    const directory = join(tmpdir(), 'failed');
    const reason = new SpokeError('REPOSITORY_DENIED', 'no entry');
    await expect(labUp({ directory, s3: false }, { ...context, prepareArchiving: () => Promise.reject(reason) })).rejects.toBe(reason);
    await expectNothingLeft(directory);
  });
});

describe('making a lab', () => {
  test.for<[string, LabUpOptions, string]>([
    ['no node', { nodes: 0 }, 'USAGE'],
    ['more than five nodes', { nodes: 6 }, 'USAGE'],
    ['a directory too deep for a unix socket', { directory: `/tmp/${'deep/'.repeat(20)}` }, 'USAGE'],
    ['a WAL segment size that is no power of two', { walSegmentSizeMb: 3 }, 'USAGE'],
    ['a major version that is not installed', { postgresMajor: 9 }, 'TOOL_MISSING'],
    ['a pgbackrest that is not there', { pgbackrestCommand: '/nowhere/pgbackrest' }, 'TOOL_MISSING'],
  ])('refuses %s', async ([, options, code]) => {
    expect(await errorCodeOf(labUp(options, context))).toBe(code);
  });

  test('refuses a directory that is not empty', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'full-'));
    await writeFile(join(directory, 'precious'), 'data');
    expect(await errorCodeOf(labUp({ directory }, context))).toBe('REFUSED_UNSAFE_DIRECTORY');
    expect(await readFile(join(directory, 'precious'), 'utf8')).toBe('data');
    await rm(directory, { recursive: true });
  });

  test('works for two at once, also with other segment sizes', async () => {
    const labs = await Promise.all([1, 64].map((walSegmentSizeMb) => labUp({ nodes: 2, walSegmentSizeMb }, context)));
    const nodes = labs.flatMap((lab) => [lab.primary, ...lab.standbys]);
    expect(new Set([...nodes.map((node) => node.port), ...labs.map((lab) => lab.s3!.endpoint)]).size).toBe(6);
    expect(await Promise.all(labs.map((lab) => sql(lab.primary.url, 'SHOW wal_segment_size')))).toEqual(['1MB', '64MB']);
    const [first, second] = labs;
    await labDown(first!.directory, context);
    await expectNothingLeft(first!.directory);
    const { nodes: others, s3 } = await labStatus(second!.directory);
    expect([...others.map((node) => node.listening), s3?.listening]).toEqual([true, true, true]);
    await labDown(second!.directory, context);
    await expectNothingLeft(second!.directory);
  });

  test.skipIf(process.getuid?.() !== 0)('works for an ordinary user, with an S3 server that another user has fetched', async () => {
    const cache = join(tmpdir(), 'cache');
    const { root } = await ensureCeph(context);
    await mkdir(join(cache, 'spoke-backup'), { recursive: true });
    await cp(join(root, '..'), join(cache, 'spoke-backup/s3-server'), { recursive: true, verbatimSymlinks: true });
    const home = join(tmpdir(), 'home');
    await mkdir(home);
    const account = (await context.instances.findUser('postgres'))!;
    await chown(home, account.uid, account.gid);
    await chmod(cache, 0o755);
    const directory = join(home, 'lab');
    const user = { uid: account.uid, gid: account.gid, environment: { XDG_CACHE_HOME: cache, HOME: home } };
    const host = startHost(directory, { nodes: 2 }, user);
    await host.line(/^done$/);
    expect((await stat(join(directory, 's3'))).uid).toBe(account.uid);
    expect(await errorCodeOf(labDown(directory, context))).toBe('REFUSED_UNSAFE_DIRECTORY');
    const down = `import('${join(import.meta.dirname, '../../src/lab/down.ts')}').then((m) => m.labDown('${directory}', { signal: new AbortController().signal, report() {} }))`;
    await runAs('postgres', process.execPath, ['-e', down]);
    await expectNothingLeft(directory);
    await rm(home, { recursive: true });
    await rm(cache, { recursive: true });
  });
});

interface Host {
  readonly child: ChildProcess;
  /** Resolves when the host has printed a line that matches; rejects when it ends before. */
  line(pattern: RegExp): Promise<void>;
}

/** labUp in a process of its own. */
function startHost(
  directory: string,
  options: LabUpOptions,
  user: { uid?: number; gid?: number; environment?: Record<string, string> } = {},
): Host {
  const { environment, ...ids } = user;
  const program = fileURLToPath(new URL('./lab-host.ts', import.meta.url));
  const child = spawn(process.execPath, [program, directory, JSON.stringify(options)], {
    ...ids,
    cwd: '/',
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const each of waiting) each();
  };
  const collect = (line: string) => {
    printed.push(line);
    wake();
  };
  createInterface(child.stdout).on('line', collect);
  createInterface(child.stderr).on('line', collect);
  let hasEnded = false;
  child.once('close', () => {
    hasEnded = true;
    wake();
  });
  const line = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (printed.some((each) => pattern.test(each))) resolve();
        else if (hasEnded) reject(new Error(`the host ended without ${String(pattern)}:\n${printed.join('\n')}`));
      };
      waiting.add(look);
      look();
    });
  return { child, line };
}

async function exitOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
