import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatForPostgres } from '../../src/domain/time/instant.ts';
import type { ServerAddress } from '../../src/ports/postgres-server.ts';
import { eventually, logOf, openWorkshop, type TestServer, type Workshop } from './instance-harness.ts';
import { postgresContract } from './postgres.contract.ts';

postgresContract('PostgreSQL itself', async () => {
  const workshop = await openWorkshop();
  const [dataDirectory, standbyDirectory] = [join(workshop.root, 'p'), join(workshop.root, 's')];
  await workshop.initialise(dataDirectory);
  const primary = await workshop.start(dataDirectory);
  await workshop.run('pg_basebackup', [
    '-h',
    workshop.root,
    '-p',
    String(primary.port),
    '-U',
    'postgres',
    '-D',
    standbyDirectory,
    '-R',
    '-c',
    'fast',
  ]);
  const standby = await workshop.start(standbyDirectory);
  await eventually(async () => {
    const { replication } = await workshop.postgres.observeServer(primary.address, workshop.context);
    if (replication[0]?.state !== 'streaming') throw new Error('the standby does not stream yet');
  });
  return {
    postgres: workshop.postgres,
    primary: primary.address,
    standby: standby.address,
    nowhere: { ...primary.address, port: await workshop.reader.findFreePort() } as ServerAddress,
    dataDirectory,
    dispose: workshop.dispose,
  };
});

let workshop: Workshop;
let server: TestServer;
beforeAll(async () => {
  workshop = await openWorkshop();
  const dataDirectory = join(workshop.root, 'd');
  await workshop.initialise(dataDirectory);
  await makeCertificate(dataDirectory);
  server = await workshop.start(dataDirectory, { listen_addresses: '127.0.0.1', password_encryption: 'scram-sha-256', ssl: 'on' });
});
afterAll(() => workshop.dispose());

const overTcp = (user: string, password: string, more = '') =>
  ({ kind: 'url', url: `postgresql://${user}:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postgres${more}` }) as const;

/** A certificate of its own authority, for the name `db.example` only. */
async function makeCertificate(dataDirectory: string): Promise<void> {
  const files = { key: join(dataDirectory, 'server.key'), certificate: join(dataDirectory, 'server.crt') };
  const subject = ['-subj', '/CN=db.example', '-addext', 'subjectAltName=DNS:db.example'];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
  await workshop.run('/usr/bin/openssl', [...request, '-keyout', files.key, '-out', files.certificate]);
  await chmod(files.key, 0o600);
}

/** Rules that stand before `trust`, then a reload. */
async function requirePasswordOf(user: string): Promise<void> {
  const hba = join(server.dataDirectory, 'pg_hba.conf');
  const rules = ['local all all trust', `hostssl all "${user}" 127.0.0.1/32 scram-sha-256`, 'hostssl all all 127.0.0.1/32 scram-sha-256'];
  await writeFile(hba, `${rules.join('\n')}\nlocal replication all trust\n`);
  await workshop.postgres.reloadConfiguration(server.address, workshop.context);
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

describe('a password', () => {
  beforeAll(() => requirePasswordOf('backup'));

  it.each([`p'w`, 'p"w', 'p\\w', 'p w', 'p#w', 'p%w', 'p@w:/?&=+', '$(id)`id`', 'pässwörd→', '%41'])('%j connects', async (password) => {
    await workshop.psql(server, 'DROP ROLE IF EXISTS backup');
    await workshop.psql(server, `SET standard_conforming_strings = on; CREATE ROLE backup LOGIN PASSWORD ${quoted(password)}`);
    const found = await workshop.postgres.observeServer(overTcp('backup', password), workshop.context);
    expect(found.postgresMajor).toBe(workshop.installation.major);
  });

  it('that is wrong is not repeated, and what to check is said', async () => {
    await workshop.psql(server, 'DROP ROLE IF EXISTS backup');
    await workshop.psql(server, `CREATE ROLE backup LOGIN PASSWORD 'right'`);
    const attempt = await workshop.postgres
      .observeServer(overTcp('backup', 'canary#7'), workshop.context)
      .catch((thrown: unknown) => thrown);
    expect(attempt).toMatchObject({
      code: 'POSTGRES_UNAVAILABLE',
      details: { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'backup', sqlState: '28P01' },
      hint: expect.stringContaining('pg_hba.conf'),
    });
    expect(JSON.stringify(allOf(attempt))).not.toMatch(/canary/);
  });

  it('that is missing is asked for, and not taken from the environment', async () => {
    process.env['PGPASSWORD'] = 'right';
    try {
      const url = `postgresql://backup@127.0.0.1:${server.port}/postgres`;
      const question = workshop.postgres.observeServer({ kind: 'url', url }, workshop.context);
      await expect(question).rejects.toMatchObject({
        code: 'POSTGRES_UNAVAILABLE',
        message: expect.stringContaining('the URL holds none'),
      });
    } finally {
      delete process.env['PGPASSWORD'];
    }
  });
});

/** Everything that a logger could print of an error. */
function allOf(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  return { ...thrown, message: thrown.message, stack: thrown.stack, cause: allOf(thrown.cause) };
}

describe('TLS', () => {
  beforeAll(async () => {
    await requirePasswordOf('tls');
    await workshop.psql(server, `CREATE ROLE tls LOGIN PASSWORD 'p'`);
  });
  const certificate = () => join(server.dataDirectory, 'server.crt');
  const connect = (more: string) => workshop.postgres.observeRecovery(overTcp('tls', 'p', more), workshop.context);

  it.each(['', '?sslmode=prefer', '?sslmode=require'])('is used with %j, without a look at the certificate', async (more) => {
    expect(await connect(more)).toMatchObject({ inRecovery: false });
  });

  it('is not used with sslmode=disable, which this server does not let in', async () => {
    await expect(connect('?sslmode=disable')).rejects.toMatchObject({ code: 'POSTGRES_UNAVAILABLE', details: { sqlState: '28000' } });
  });

  it('checks the authority with sslmode=verify-ca', async () => {
    expect(await connect(`?sslmode=verify-ca&sslrootcert=${certificate()}`)).toMatchObject({ inRecovery: false });
    await expect(connect('?sslmode=verify-ca')).rejects.toMatchObject({ code: 'POSTGRES_UNAVAILABLE' });
  });

  it('checks the name too with sslmode=verify-full', async () => {
    await expect(connect(`?sslmode=verify-full&sslrootcert=${certificate()}`)).rejects.toMatchObject({
      code: 'POSTGRES_UNAVAILABLE',
      message: expect.stringContaining("is not in the cert's list"),
    });
  });
});

describe('a role without any right', () => {
  let address: ServerAddress;
  beforeAll(async () => {
    await workshop.psql(server, 'CREATE ROLE "plain role" LOGIN');
    address = { ...server.address, user: 'plain role' } as ServerAddress;
  });

  it('still learns cluster, position and archiver; what it may not read is absent', async () => {
    const superuser = await workshop.postgres.observeServer(server.address, workshop.context);
    const found = await workshop.postgres.observeServer(address, workshop.context);
    const { systemIdentifier, timeline, walSegmentSizeBytes, archiver } = superuser;
    expect(found).toMatchObject({ systemIdentifier, timeline, walSegmentSizeBytes, archiver, inRecovery: false });
    expect(found).not.toHaveProperty('dataDirectory');
    expect(found.settings).toHaveProperty('archive_mode');
    expect(found.settings).not.toHaveProperty('config_file');
  });

  it('is told which right to ask for', async () => {
    await expect(workshop.postgres.closeWalSegment(address, workshop.context)).rejects.toMatchObject({
      code: 'POSTGRES_FAILED',
      hint: 'As a superuser: GRANT EXECUTE ON FUNCTION pg_switch_wal TO "plain role"',
    });
    await workshop.psql(server, 'GRANT EXECUTE ON FUNCTION pg_switch_wal TO "plain role"');
    await workshop.postgres.closeWalSegment(address, workshop.context);
    await expect(workshop.postgres.alterSystem(address, { archive_timeout: '1' }, workshop.context)).rejects.toMatchObject({
      hint: 'As a superuser: GRANT ALTER SYSTEM ON PARAMETER archive_timeout TO "plain role"',
    });
  });
});

describe('WAL that the archiver does not take', () => {
  let stuck: TestServer;
  beforeAll(async () => {
    const dataDirectory = join(workshop.root, 'stuck');
    await workshop.initialise(dataDirectory);
    stuck = await workshop.start(dataDirectory, { archive_mode: 'on', archive_command: 'false' });
  });
  afterAll(() => workshop.stop(stuck.dataDirectory));

  it('waits in the order of its names, since it was closed', async () => {
    const { serverTime } = await workshop.postgres.observeServer(stuck.address, workshop.context);
    const first = await workshop.postgres.closeWalSegment(stuck.address, workshop.context);
    const second = await workshop.postgres.closeWalSegment(stuck.address, workshop.context);
    await expect
      .poll(async () => (await workshop.postgres.observeWal(stuck.address, workshop.context)).queue?.waiting.map(({ file }) => file))
      .toEqual([first.segment, second.segment]);
    const { queue } = await workshop.postgres.observeWal(stuck.address, workshop.context);
    expect(queue?.count).toBe(2);
    // The file system keeps whole seconds here.
    expect(queue?.waiting[0]?.since).toBeGreaterThanOrEqual(serverTime - 1_000_000n);
  });

  it('is kept for a slot, which tells how much', async () => {
    await workshop.psql(stuck, `SELECT pg_create_physical_replication_slot('idle', true)`);
    const segment = (await workshop.postgres.observeServer(stuck.address, workshop.context)).walSegmentSizeBytes;
    await workshop.postgres.closeWalSegment(stuck.address, workshop.context);
    await workshop.postgres.closeWalSegment(stuck.address, workshop.context);
    const { slots } = await workshop.postgres.observeWal(stuck.address, workshop.context);
    expect(slots).toMatchObject([{ name: 'idle', active: false, walStatus: 'reserved' }]);
    expect(slots[0]?.retainedBytes).toBeGreaterThan(BigInt(segment));
  });

  it('is not seen by a role without pg_monitor, in the server’s log neither', async () => {
    await workshop.psql(stuck, 'CREATE ROLE plain LOGIN');
    const address = { ...stuck.address, user: 'plain' } as ServerAddress;
    const found = await workshop.postgres.observeWal(address, workshop.context);
    expect(found).not.toHaveProperty('queue');
    expect(found).not.toHaveProperty('walBytes');
    expect(found.slots).toHaveLength(1);
    expect(await logOf(stuck)).not.toContain('permission denied');
    await workshop.psql(stuck, 'GRANT pg_monitor TO plain');
    const { queue, walBytes } = await workshop.postgres.observeWal(stuck.address, workshop.context);
    expect(await workshop.postgres.observeWal(address, workshop.context)).toMatchObject({ queue: { count: queue?.count }, walBytes });
  });
});

describe('ALTER SYSTEM', () => {
  it.each([`cp %p '/a b/%f'`, 'a\\b"c', `'; DROP TABLE t; --`, 'ä→', '', '$(id)'])('stores %j as it is', async (value) => {
    await workshop.postgres.alterSystem(server.address, { archive_cleanup_command: value }, workshop.context);
    await workshop.postgres.reloadConfiguration(server.address, workshop.context);
    await expect.poll(() => workshop.psql(server, 'SHOW archive_cleanup_command')).toBe(value);
    await workshop.postgres.alterSystem(server.address, { archive_cleanup_command: null }, workshop.context);
  });
});

describe('a server that does not answer', () => {
  let silent: Server;
  let address: ServerAddress;
  beforeAll(async () => {
    silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const bound = silent.address();
    const port = typeof bound === 'object' ? bound?.port : undefined;
    address = { kind: 'url', url: `postgresql://u:p@127.0.0.1:${port}/x` };
  });
  afterAll(() => silent.close());

  it('is given up on after the time that the caller has', async () => {
    const started = performance.now();
    const question = workshop.postgres.observeServer(address, { ...workshop.context, timeoutMs: 300 });
    await expect(question).rejects.toMatchObject({ code: 'POSTGRES_UNAVAILABLE', message: expect.stringContaining('300 ms') });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('is left at once when the caller gives up', async () => {
    const abort = new AbortController();
    const connected = once(silent, 'connection');
    const question = workshop.postgres.observeServer(address, { signal: abort.signal });
    await connected;
    abort.abort();
    await expect(question).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a statement that takes too long', () => {
  it('of a writer ends as timed out, and nothing of it goes on in the server', async () => {
    // Every reload waits for this function in place of the real one: search_path of the role puts it first.
    await workshop.psql(server, `CREATE FUNCTION public.pg_reload_conf() RETURNS bool LANGUAGE sql AS 'SELECT pg_sleep(600) IS NULL'`);
    await workshop.psql(server, 'CREATE ROLE slow LOGIN; ALTER ROLE slow SET search_path = public, pg_catalog');
    const address = { ...server.address, user: 'slow' } as ServerAddress;
    const question = workshop.postgres.reloadConfiguration(address, { ...workshop.context, timeoutMs: 500 });
    await expect(question).rejects.toMatchObject({ code: 'TIMED_OUT' });
    await expect.poll(() => workshop.psql(server, `SELECT count(*) FROM pg_stat_activity WHERE usename = 'slow'`)).toBe('0');
  });
});

describe('a server that is still starting', () => {
  it('is unavailable, with the advice to wait', async () => {
    const dataDirectory = join(workshop.root, 'starting');
    await workshop.initialise(dataDirectory);
    await writeFile(join(dataDirectory, 'standby.signal'), '');
    // Without a hot standby nobody is let in.
    const hotStandbyOff = { hot_standby: 'off' };
    const port = await workshop.reader.findFreePort();
    const { owner, root: socketDirectory, installation } = workshop;
    const place = { dataDirectory, owner, port, socketDirectory, listenAddresses: '', logFile: `${dataDirectory}.log` };
    await workshop.control.startServer({ ...place, binDirectory: installation.binDirectory, settings: hotStandbyOff }, workshop.context);
    try {
      const address = { kind: 'socket', socketDirectory, port, user: 'postgres' } as const;
      await eventually(async () => {
        await expect(workshop.postgres.observeRecovery(address, workshop.context)).rejects.toMatchObject({
          code: 'POSTGRES_UNAVAILABLE',
          details: { sqlState: '57P03' },
        });
      });
    } finally {
      await workshop.stop(dataDirectory, 'immediate');
    }
  });
});

describe('a cluster without a database named postgres', () => {
  it('is reached through template1', async () => {
    const dataDirectory = join(workshop.root, 'bare');
    await workshop.initialise(dataDirectory);
    const bare = await workshop.start(dataDirectory);
    await workshop.run('psql', [
      '-h',
      workshop.root,
      '-p',
      String(bare.port),
      '-U',
      'postgres',
      '-d',
      'template1',
      '-c',
      'DROP DATABASE postgres',
    ]);
    expect(await workshop.postgres.observeServer(bare.address, workshop.context)).toMatchObject({ dataDirectory });
    await workshop.stop(dataDirectory);
  });
});

describe('the commit that closes a segment', () => {
  it('is where recovery to an instant after the last row stops', async () => {
    const [dataDirectory, copy, archive] = ['live', 'copy', 'archive'].map((name) => join(workshop.root, name)) as [string, string, string];
    await mkdir(archive);
    await chown(archive, workshop.owner.uid, workshop.owner.gid);
    await workshop.initialise(dataDirectory);
    await workshop.run('/bin/cp', ['-a', dataDirectory, copy]);
    const settings = { archive_mode: 'on', archive_command: `cp %p ${archive}/%f`, default_transaction_read_only: 'on' };
    const live = await workshop.start(dataDirectory, settings);
    await workshop.psql(live, 'SET default_transaction_read_only = off', 'CREATE TABLE ledger (n int)', 'INSERT INTO ledger VALUES (1)');
    const { serverTime } = await workshop.postgres.observeServer(live.address, workshop.context);

    const closed = await workshop.postgres.closeWalSegment(live.address, workshop.context);
    await workshop.psql(live, 'SET default_transaction_read_only = off', 'INSERT INTO ledger VALUES (2)');
    await expect.poll(() => readdir(archive), { timeout: 30_000 }).toContain(closed.segment);
    await workshop.stop(dataDirectory, 'immediate');
    const archived = await readdir(archive);
    for (const name of archived) if (name > closed.segment) await rm(join(archive, name));

    await writeFile(join(copy, 'recovery.signal'), '');
    const restored = await workshop.start(copy, {
      restore_command: `cp ${archive}/%f %p`,
      recovery_target_time: formatForPostgres(serverTime),
      recovery_target_action: 'pause',
    });
    const paused = async () => (await workshop.postgres.observeRecovery(restored.address, workshop.context)).paused;
    await expect.poll(paused, { timeout: 30_000 }).toBe(true);
    expect(await logOf(restored)).toContain('recovery stopping before commit of transaction');
    expect(await workshop.psql(restored, 'SELECT array_agg(n) FROM ledger')).toBe('{1}');
    const state = await workshop.postgres.observeRecovery(restored.address, workshop.context);
    expect(state).toMatchObject({ inRecovery: true, timeline: 1 });
    expect(state.lastReplayedCommitTime).toBeLessThanOrEqual(serverTime);

    await workshop.postgres.endRecoveryAtTarget(restored.address, workshop.context);
    await workshop.postgres.endRecoveryAtTarget(restored.address, workshop.context);
    expect(await workshop.postgres.observeServer(restored.address, workshop.context)).toMatchObject({ inRecovery: false, timeline: 2 });
    await workshop.psql(restored, 'INSERT INTO ledger VALUES (3)');
    await workshop.stop(copy);
  });
});
