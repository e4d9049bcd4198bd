import { execFileSync, spawn } from 'node:child_process';
import { chmod, chown, lstat, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DirectoryFacts, ServerStart } from '../../src/ports/instance.ts';
import { instanceContract } from './instance.contract.ts';
import { openWorkshop, type TestServer, type Workshop } from './instance-harness.ts';
import { asRoot, withMounts } from './privileges.ts';

const CHILD = fileURLToPath(new URL('./instance-child.ts', import.meta.url));

instanceContract('this machine', async () => {
  const made = await openWorkshop();
  const { reader, control, context, root, owner, initialise, dispose } = made;
  return { reader, control, context, root, owner, initialise, dispose, major: made.installation.major };
});

let workshop: Workshop;
let template: string;
beforeAll(async () => {
  workshop = await openWorkshop();
  template = join(workshop.root, 'template');
  await workshop.initialise(template);
});
afterAll(() => workshop.dispose());

/** Of the test that runs; belongs to the owner. */
let scratch: string;
const cleanUps: (() => unknown)[] = [];
beforeEach(async () => {
  scratch = await mkdtemp(join(workshop.root, 't'));
  await chown(scratch, workshop.owner.uid, workshop.owner.gid);
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await rm(scratch, { recursive: true, force: true });
});

const inspect = (path: string) => workshop.reader.inspectDirectory(path, workshop.context);
const running = async (path: string) => (await inspect(path)).running;

async function copyOfTemplate(): Promise<string> {
  const dataDirectory = join(scratch, 'data');
  await workshop.run('/bin/cp', ['-a', template, dataDirectory]);
  return dataDirectory;
}

async function startedCopy(): Promise<TestServer & { readonly pid: number }> {
  const server = await workshop.start(await copyOfTemplate());
  cleanUps.push(() => workshop.stop(server.dataDirectory, 'immediate'));
  const pid = (await running(server.dataDirectory))?.pid;
  if (pid === undefined) throw new Error('the server has no pid');
  return { ...server, pid };
}

async function startOf(dataDirectory: string): Promise<ServerStart> {
  const { owner, root: socketDirectory, installation } = workshop;
  const port = await workshop.reader.findFreePort();
  const logFile = `${dataDirectory}.log`;
  return {
    dataDirectory,
    binDirectory: installation.binDirectory,
    owner,
    port,
    socketDirectory,
    listenAddresses: '',
    logFile,
    settings: {},
  };
}

async function identityOf(path: string): Promise<string> {
  const { identity } = await inspect(path);
  if (identity === undefined) throw new Error(`${path} is not there`);
  return identity;
}

/** Runs instance-child.ts behind a command (setpriv, unshare …) or on its own. */
function inChild(before: readonly string[], method: string, ...args: readonly unknown[]): unknown {
  const argv = [...before, process.execPath, CHILD, method, ...args.map((value) => JSON.stringify(value))];
  const output = execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8', cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(output);
}

const asOwner = () => ['setpriv', `--reuid=${workshop.owner.uid}`, `--regid=${workshop.owner.gid}`, '--init-groups', '--'];
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

describe('a running server is seen', () => {
  it('when postmaster.pid was deleted', async () => {
    const server = await startedCopy();
    await unlink(join(server.dataDirectory, 'postmaster.pid'));
    expect(await running(server.dataDirectory)).toEqual({
      evidence: 'process',
      pid: server.pid,
      port: server.port,
      socketDirectory: workshop.root,
    });
    await workshop.stop(server.dataDirectory);
    expect(await running(server.dataDirectory)).toBeUndefined();
  });

  it('through a symbolic link to its directory', async () => {
    const server = await startedCopy();
    const link = join(scratch, 'link');
    await symlink(server.dataDirectory, link);
    expect(await inspect(link)).toMatchObject({ isSymbolicLink: true, realPath: server.dataDirectory, running: { pid: server.pid } });
  });

  it('while its processes outlive a postmaster that was killed', async () => {
    const server = await startedCopy();
    const [checkpointer] = execFileSync('pgrep', ['-P', String(server.pid), '-f', 'checkpointer'], { encoding: 'utf8' }).split('\n');
    process.kill(Number(checkpointer), 'SIGSTOP');
    try {
      process.kill(server.pid, 'SIGKILL');
      await expect.poll(async () => (await running(server.dataDirectory))?.pid).toBe(Number(checkpointer));
    } finally {
      process.kill(Number(checkpointer), 'SIGCONT');
    }
    await expect.poll(() => running(server.dataDirectory), { timeout: 10_000 }).toBeUndefined();
  });

  asRoot('by its own user', async () => {
    const server = await startedCopy();
    expect(inChild(asOwner(), 'inspect', server.dataDirectory)).toMatchObject({ running: { evidence: 'postmaster.pid', pid: server.pid } });
    await unlink(join(server.dataDirectory, 'postmaster.pid'));
    expect(inChild(asOwner(), 'inspect', server.dataDirectory)).toMatchObject({ running: { evidence: 'process', pid: server.pid } });
  });

  withMounts('by its shared memory, when neither postmaster.pid nor its processes can be seen', async () => {
    const server = await startedCopy();
    const elsewhere = ['unshare', '--propagation', 'unchanged', '--pid', '--fork', '--mount-proc', '--'];
    expect(inChild(elsewhere, 'inspect', server.dataDirectory)).toMatchObject({ running: { evidence: 'shared memory' } });
    await unlink(join(server.dataDirectory, 'postmaster.pid'));
    expect(inChild(elsewhere, 'inspect', server.dataDirectory)).toMatchObject({ running: { evidence: 'shared memory' } });
    await workshop.stop(server.dataDirectory);
    expect(inChild(elsewhere, 'inspect', server.dataDirectory)).not.toHaveProperty('running');
  });
});

describe('where processes cannot be looked at', () => {
  // Private first: what is mounted in a namespace may otherwise show up outside.
  const hideProc = 'mount --make-private /proc && mount -t tmpfs none /proc && exec "$@"';
  const withoutProc = ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', hideProc, 'sh'];

  withMounts('a server is seen by its pid file, and by the lock beside its socket when that was deleted', async () => {
    const dataDirectory = await copyOfTemplate();
    const start = { ...(await startOf(dataDirectory)), socketDirectory: '/tmp' };
    await workshop.control.startServer(start, workshop.context);
    cleanUps.push(() => workshop.stop(dataDirectory, 'immediate'));
    const server = { pid: (await running(dataDirectory))?.pid, port: start.port, socketDirectory: '/tmp' };
    expect(inChild(withoutProc, 'inspect', dataDirectory)).toMatchObject({ running: { evidence: 'postmaster.pid', ...server } });
    await unlink(join(dataDirectory, 'postmaster.pid'));
    expect(inChild(withoutProc, 'inspect', dataDirectory)).toMatchObject({ running: { evidence: 'socket', ...server } });
    await workshop.stop(dataDirectory);
    expect(inChild(withoutProc, 'inspect', dataDirectory)).not.toHaveProperty('running');
  });
});

describe('no running server is seen', () => {
  it('where postmaster.pid was left behind by a process that is gone', async () => {
    const server = await startedCopy();
    const leftover = await readFile(join(server.dataDirectory, 'postmaster.pid'), 'utf8');
    await workshop.stop(server.dataDirectory);
    await writeFile(join(server.dataDirectory, 'postmaster.pid'), leftover);
    expect(await running(server.dataDirectory)).toBeUndefined();
    await workshop.start(server.dataDirectory);
  });

  it('where the pid in postmaster.pid belongs to another program by now', async () => {
    const dataDirectory = await copyOfTemplate();
    await writeFile(join(dataDirectory, 'postmaster.pid'), `${process.pid}\n${dataDirectory}\n1\n5432\n`);
    expect(await running(dataDirectory)).toBeUndefined();
  });

  it('where it belongs to the server of another data directory by now', async () => {
    const server = await startedCopy();
    await writeFile(join(template, 'postmaster.pid'), `${server.pid}\n${template}\n1\n5432\n`);
    cleanUps.push(() => unlink(join(template, 'postmaster.pid')));
    expect(await running(template)).toBeUndefined();
  });

  it('where only a shell works in the directory', async () => {
    const dataDirectory = await copyOfTemplate();
    const output = execFileSync(process.execPath, [CHILD, 'inspect', JSON.stringify(dataDirectory)], {
      cwd: dataDirectory,
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).not.toHaveProperty('running');
  });
});

describe('a directory', () => {
  it.each(['data', './data', ''])('has to be named from / on: not %j', async (path) => {
    await expect(inspect(path)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('behind a symbolic link that leads nowhere is no place for data', async () => {
    await symlink(join(scratch, 'gone'), join(scratch, 'link'));
    expect(await inspect(join(scratch, 'link'))).toMatchObject({
      kind: 'not a directory',
      isSymbolicLink: true,
      realPath: join(scratch, 'gone'),
    });
    await expect(workshop.control.createDirectory(join(scratch, 'link'), workshop.owner)).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE_DIRECTORY',
    });
  });

  it('that is not there is found at the end of the links on the way to it', async () => {
    await symlink(template, join(scratch, 'link'));
    const facts = await inspect(join(scratch, 'link', 'base', 'new'));
    expect(facts).toMatchObject({ kind: 'absent', realPath: join(template, 'base', 'new') });
    expect(facts.forbidden).toContain(`the data directory ${template}`);
  });

  it('of one database is no data directory', async () => {
    const [database] = await readdir(join(template, 'base'));
    expect(await inspect(join(template, 'base', database ?? ''))).toMatchObject({
      kind: 'other',
      forbidden: expect.stringContaining(template),
    });
  });

  it('without pg_control, as an interrupted restore leaves it, is a data directory that tells nothing', async () => {
    const dataDirectory = await copyOfTemplate();
    await unlink(join(dataDirectory, 'global', 'pg_control'));
    const facts = await inspect(dataDirectory);
    expect(facts).toMatchObject({ kind: 'postgres', postgresMajor: workshop.installation.major });
    expect(facts).not.toHaveProperty('control');
  });

  it('with a damaged pg_control tells nothing either', async () => {
    const dataDirectory = await copyOfTemplate();
    const file = await open(join(dataDirectory, 'global', 'pg_control'), 'r+');
    await file.write(Buffer.alloc(4, 0xff), 0, 4, 100);
    await file.close();
    expect(await inspect(dataDirectory)).not.toHaveProperty('control');
  });

  it('of a major version that is not installed is one all the same', async () => {
    const dataDirectory = await copyOfTemplate();
    await writeFile(join(dataDirectory, 'PG_VERSION'), '13\n');
    const facts = await inspect(dataDirectory);
    expect(facts).toMatchObject({ kind: 'postgres', postgresMajor: 13 });
    expect(facts).not.toHaveProperty('control');
  });

  it('tells where its tablespaces are', async () => {
    const server = await startedCopy();
    const location = join(scratch, 'space');
    await mkdir(location);
    await chown(location, workshop.owner.uid, workshop.owner.gid);
    await workshop.psql(server, `CREATE TABLESPACE space LOCATION '${location}'`);
    const oid = Number(await workshop.psql(server, `SELECT oid FROM pg_tablespace WHERE spcname = 'space'`));
    expect((await inspect(server.dataDirectory)).tablespaces).toEqual([{ oid, location }]);
  });

  asRoot('that somebody else cannot look into is never a target for him', async () => {
    const dataDirectory = await copyOfTemplate();
    expect(inChild(asNobody, 'inspect', dataDirectory)).toMatchObject({
      kind: 'other',
      forbidden: expect.stringContaining('cannot be looked into'),
    });
    await chmod(scratch, 0o700);
    expect(inChild(asNobody, 'inspect', join(dataDirectory, 'base'))).toMatchObject({
      forbidden: expect.stringContaining('cannot be looked into'),
    });
  });

  withMounts('can be a mount point, with its own free space', async () => {
    const mountPoint = join(scratch, 'mount point');
    await mkdir(mountPoint);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint]);
    cleanUps.push(() => execFileSync('umount', [mountPoint]));
    const facts = await inspect(mountPoint);
    expect(facts).toMatchObject({ kind: 'empty', isMountPoint: true, fileSystem: mountPoint });
    expect(facts.freeBytes).toBeLessThanOrEqual(1_048_576n);
    expect(await inspect(join(mountPoint, 'below'))).toMatchObject({
      isMountPoint: false,
      fileSystem: mountPoint,
      freeBytes: facts.freeBytes,
    });
    await workshop.control.createDirectory(mountPoint, workshop.owner);
    expect(await inspect(mountPoint)).toMatchObject({ owner: workshop.owner, mode: 0o700 });
    const renaming = workshop.control.renameDirectory(mountPoint, join(scratch, 'elsewhere'), await identityOf(mountPoint));
    await expect(renaming).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE_DIRECTORY',
      message: expect.stringContaining('is a mount point'),
    });
  });
});

describe('removing a tree', () => {
  it('removes symbolic links and not what they lead to', async () => {
    const [tree, outside] = [join(scratch, 'tree'), join(scratch, 'outside')];
    await mkdir(tree);
    await mkdir(outside);
    await writeFile(join(outside, 'precious'), 'x');
    await symlink(outside, join(tree, 'directory'));
    await symlink(join(outside, 'precious'), join(tree, 'file'));
    await symlink('/nowhere', join(tree, 'dangling'));
    await workshop.control.removeDirectory(tree, await identityOf(tree));
    expect(await readdir(scratch)).toEqual(['outside']);
    expect(await readdir(outside)).toEqual(['precious']);
  });

  it('refuses the link to a tree itself', async () => {
    const tree = join(scratch, 'tree');
    await mkdir(tree);
    await symlink(tree, join(scratch, 'link'));
    const removing = workshop.control.removeDirectory(join(scratch, 'link'), await identityOf(tree));
    await expect(removing).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(await readdir(scratch)).toEqual(['link', 'tree']);
  });

  it('copes with names that are no text', async () => {
    const tree = join(scratch, 'tree');
    await mkdir(tree);
    const strange = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]);
    await mkdir(strange);
    await writeFile(Buffer.concat([strange, Buffer.from('/'), Buffer.from([0xe4])]), 'x');
    await workshop.control.removeDirectory(tree, await identityOf(tree));
    expect(await readdir(scratch)).toEqual([]);
  });

  it('refuses what lies in a data directory', async () => {
    const dataDirectory = await copyOfTemplate();
    const base = join(dataDirectory, 'base');
    await expect(workshop.control.removeDirectory(base, await identityOf(base))).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE_DIRECTORY',
    });
    expect((await lstat(base)).isDirectory()).toBe(true);
  });

  withMounts('refuses a tree with a mount point in it, before anything is gone', async () => {
    const tree = join(scratch, 'tree');
    await mkdir(join(tree, 'mounted'), { recursive: true });
    await writeFile(join(tree, 'a'), 'x');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', join(tree, 'mounted')]);
    cleanUps.push(() => execFileSync('umount', [join(tree, 'mounted')]));
    await writeFile(join(tree, 'mounted', 'precious'), 'x');
    await expect(workshop.control.removeDirectory(tree, await identityOf(tree))).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE_DIRECTORY',
    });
    expect([await readdir(tree), await readdir(join(tree, 'mounted'))]).toEqual([['a', 'mounted'], ['precious']]);
  });

  asRoot('refuses a tree whose own name could not be removed in the end, before anything is gone', async () => {
    const dataDirectory = await copyOfTemplate();
    await chown(scratch, 0, 0);
    await chmod(scratch, 0o755);
    expect(inChild(asOwner(), 'remove', dataDirectory, await identityOf(dataDirectory))).toMatchObject({ error: 'REFUSED_PRECONDITION' });
    expect((await inspect(dataDirectory)).control?.state).toBe('shut down');
  });

  asRoot('that cannot be finished leaves nothing that could start', async () => {
    const dataDirectory = await copyOfTemplate();
    await chown(join(dataDirectory, 'base'), 0, 0);
    await chmod(join(dataDirectory, 'base'), 0o755);
    const identity = await identityOf(dataDirectory);
    expect(inChild(asOwner(), 'remove', dataDirectory, identity)).toMatchObject({ error: 'REFUSED_PRECONDITION' });
    expect(await readdir(join(dataDirectory, 'base'))).not.toEqual([]);
    await expect(lstat(join(dataDirectory, 'global', 'pg_control'))).rejects.toMatchObject({ code: 'ENOENT' });
    await workshop.control.removeDirectory(dataDirectory, identity);
    expect(await readdir(scratch)).toEqual([]);
  });
});

describe('files', () => {
  it('are for their owner, with the mode that was asked for', async () => {
    const path = join(scratch, 'file');
    await workshop.control.writeFileDurably(path, 'x', workshop.owner, 0o640);
    const { uid, gid, mode } = await stat(path);
    expect([uid, gid, mode & 0o777]).toEqual([workshop.owner.uid, workshop.owner.gid, 0o640]);
  });

  it('replace a symbolic link and do not write through it', async () => {
    await writeFile(join(scratch, 'precious'), 'precious');
    await symlink(join(scratch, 'precious'), join(scratch, 'file'));
    await workshop.control.writeFileDurably(join(scratch, 'file'), 'new', workshop.owner, 0o600);
    expect(await readFile(join(scratch, 'precious'), 'utf8')).toBe('precious');
    expect((await lstat(join(scratch, 'file'))).isFile()).toBe(true);
  });

  withMounts('stay as they were when the disk is full, and nothing half-written is left', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', scratch]);
    cleanUps.push(() => execFileSync('umount', [scratch]));
    const path = join(scratch, 'file');
    await workshop.control.writeFileDurably(path, 'old', workshop.owner, 0o600);
    const writing = workshop.control.writeFileDurably(path, 'x'.repeat(100_000), workshop.owner, 0o600);
    await expect(writing).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await readdir(scratch)).toEqual(['file']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  it('that are being copied when the caller gives up are not there', async () => {
    const [from, to] = [join(scratch, 'from'), join(scratch, 'to')];
    for (const directory of [from, to]) await mkdir(directory);
    await writeFile(join(from, 'segment'), Buffer.alloc(5_000_000, 7));
    const abort = new AbortController();
    const copying = workshop.control.copyFiles(from, to, ['segment'], workshop.owner, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await expect(copying).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await readdir(to)).toEqual([]);
    await workshop.control.copyFiles(from, to, ['segment'], workshop.owner, workshop.context);
    expect((await readFile(join(to, 'segment'))).equals(Buffer.alloc(5_000_000, 7))).toBe(true);
  });

  it.each(['../outside', '/etc/passwd', 'a/../../b', '', '.', 'a\0b'])('named %j are not copied', async (name) => {
    await expect(workshop.control.copyFiles(scratch, scratch, [name], workshop.owner, workshop.context)).rejects.toThrow();
  });

  it('whose tail begins within a character lose that character only', async () => {
    await writeFile(join(scratch, 'log'), 'aäö');
    expect(await workshop.reader.readFileTail(join(scratch, 'log'), 3)).toBe('ö');
  });
});

describe('the log of a server', () => {
  it('is the file that its stderr goes to, or the one that its collector writes', async () => {
    const dataDirectory = await copyOfTemplate();
    const started = await workshop.start(dataDirectory);
    const [first = ''] = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
    const pid = Number(first);
    expect(await workshop.reader.readServerLog({ dataDirectory, pid }, 1_000_000)).toBe(await readFile(started.logFile, 'utf8'));
    expect(await workshop.reader.readServerLog({ dataDirectory }, 1_000_000)).toBe('');
    await writeFile(join(dataDirectory, 'collected.log'), 'FATAL:  words\n');
    await writeFile(join(dataDirectory, 'current_logfiles'), 'stderr collected.log\ncsvlog collected.csv\n');
    expect(await workshop.reader.readServerLog({ dataDirectory, pid }, 6)).toBe('words\n');
    await workshop.stop(dataDirectory);
  });

  it('is not taken out of a pipe, where somebody else waits for it', async () => {
    const child = spawn('/bin/sh', ['-c', 'echo first >&2; read line; echo second >&2'], { stdio: ['pipe', 'ignore', 'pipe'] });
    const server = { dataDirectory: scratch, pid: child.pid ?? 0 };
    expect(await workshop.reader.readServerLog(server, 1000)).toBe('');
    child.stdin.end('\n');
    const pieces: Buffer[] = [];
    for await (const piece of child.stderr) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).toString()).toBe('first\nsecond\n');
  });
});

describe('a server that was started', () => {
  it('outlives the process that started it', async () => {
    const dataDirectory = await copyOfTemplate();
    cleanUps.push(() => workshop.stop(dataDirectory, 'immediate'));
    const start = await startOf(dataDirectory);
    expect(inChild([], 'start', start)).toBeNull();
    expect(await running(dataDirectory)).toMatchObject({ port: start.port });
  });

  asRoot('can be started and stopped by its own user', async () => {
    const dataDirectory = await copyOfTemplate();
    cleanUps.push(() => workshop.stop(dataDirectory, 'immediate'));
    const start = await startOf(dataDirectory);
    expect(inChild(asOwner(), 'start', start)).toBeNull();
    expect(await running(dataDirectory)).toMatchObject({ port: start.port });
    expect(inChild(asOwner(), 'stop', { ...start, mode: 'fast' })).toBeNull();
    expect(await running(dataDirectory)).toBeUndefined();
  });

  asRoot('by nobody who is neither its user nor root', async () => {
    const dataDirectory = await copyOfTemplate();
    const start = { ...(await startOf(dataDirectory)), logFile: join(tmpdir(), 'nobody.log') };
    cleanUps.push(() => rm(start.logFile, { force: true }));
    expect(inChild(asNobody, 'start', start)).toMatchObject({ error: 'REFUSED_PRECONDITION' });
  });

  asRoot('by root has all groups of its user', async () => {
    const server = await startedCopy();
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    const groups = /^Groups:\s*(.*?)\s*$/m
      .exec(status)?.[1]
      ?.split(' ')
      .map(Number)
      .toSorted((a, b) => a - b);
    const expected = execFileSync('id', ['-G', workshop.owner.name], { encoding: 'utf8' })
      .trim()
      .split(' ')
      .map(Number)
      .toSorted((a, b) => a - b);
    expect(groups).toEqual(expected);
  });

  it('gets its settings past every shell', async () => {
    const archive_cleanup_command = `it's "$(id)" \\ %r`;
    const dataDirectory = await copyOfTemplate();
    const server = await workshop.start(dataDirectory, { archive_cleanup_command });
    cleanUps.push(() => workshop.stop(dataDirectory, 'immediate'));
    expect(await workshop.psql(server, 'SHOW archive_cleanup_command')).toBe(archive_cleanup_command);
  });

  it('does not write its log through a symbolic link', async () => {
    const dataDirectory = await copyOfTemplate();
    await writeFile(join(scratch, 'precious'), '');
    await symlink(join(scratch, 'precious'), `${dataDirectory}.log`);
    await expect(workshop.control.startServer(await startOf(dataDirectory), workshop.context)).rejects.toMatchObject({
      code: 'FILE_SYSTEM_FAILED',
    });
  });

  it('is ended again when the caller gives up on it', async () => {
    const dataDirectory = await copyOfTemplate();
    const signal = AbortSignal.abort();
    await expect(workshop.control.startServer(await startOf(dataDirectory), { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await running(dataDirectory)).toBeUndefined();
  });

  it('that does not stop in time is reported so, and stops later', async () => {
    const server = await startedCopy();
    process.kill(server.pid, 'SIGSTOP');
    const { binDirectory } = workshop.installation;
    const stop = { dataDirectory: server.dataDirectory, binDirectory, owner: workshop.owner, mode: 'fast' } as const;
    try {
      await expect(workshop.control.stopServer(stop, { ...workshop.context, timeoutMs: 1_000 })).rejects.toMatchObject({
        code: 'TIMED_OUT',
      });
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await workshop.control.stopServer(stop, workshop.context);
    expect((await inspect(server.dataDirectory)).control?.state).toBe('shut down');
  });

  it('can be stopped at once', async () => {
    const server = await startedCopy();
    await workshop.stop(server.dataDirectory, 'immediate');
    const facts: DirectoryFacts = await inspect(server.dataDirectory);
    expect(facts).not.toHaveProperty('running');
    expect(facts.control?.state).toBe('in production');
  });
});

describe('the end of the WAL of a server that was killed', () => {
  it('is where PostgreSQL itself finds it when it recovers', async () => {
    const dataDirectory = await copyOfTemplate();
    const server = await workshop.start(dataDirectory);
    // Files that are used again still have their old pages; the last record fills a page and more.
    await workshop.psql(
      server,
      'CREATE TABLE t AS SELECT 1',
      'SELECT pg_switch_wal()',
      'INSERT INTO t VALUES (2)',
      'SELECT pg_switch_wal()',
    );
    await workshop.psql(server, 'CHECKPOINT', 'INSERT INTO t VALUES (3)', `SELECT pg_logical_emit_message(true, 'p', repeat('x', 20000))`);
    await workshop.stop(dataDirectory, 'immediate');
    const found = await workshop.reader.readWalEnd(dataDirectory);
    const again = await workshop.start(dataDirectory);
    const end = /invalid record length at ([0-9A-F]+\/[0-9A-F]+):/.exec(await readFile(again.logFile, 'utf8'))?.[1] ?? '';
    expect(found).toEqual({ timeline: 1, lsn: parseLsn(end) });
    await workshop.stop(dataDirectory);
  });

  it('is not known where there is no WAL', async () => {
    expect(await workshop.reader.readWalEnd(scratch)).toBe(undefined);
  });
});
