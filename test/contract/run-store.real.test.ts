import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createRunLock } from '../../src/adapters/state/run-lock.ts';
import { createRunStore } from '../../src/adapters/state/run-store.ts';
import { asRoot, withMounts } from './privileges.ts';
import { headerOf, holderOf, noteOf, runIdOf, runLockContract, runStoreContract } from './run-store.contract.ts';

const TAKER = fileURLToPath(new URL('./lock-taker.ts', import.meta.url));
const RUN = '20261122T211628Z-restore-aaaa';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function made<T>(create: (directory: string) => T) {
  return () => {
    const directory = mkdtempSync(join(tmpdir(), 'state-'));
    const dispose = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
    return Promise.resolve({ subject: create(join(directory, 'not', 'yet', 'there')), dispose });
  };
}

runStoreContract('the files of the state directory', made(createRunStore));
runLockContract('a file in the state directory', made(createRunLock));

const runDirectory = (state: string) => join(state, 'runs', RUN);
const journal = (state: string) => join(runDirectory(state), 'journal.jsonl');

describe('a journal on disk', () => {
  it('is repaired by the next entry wherever its last line was torn', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    const kept = statSync(journal(state)).size;
    await store.append(runIdOf(RUN), noteOf('torn ä'));
    const whole = statSync(journal(state)).size;
    for (let size = whole - 1; size >= kept; size -= 1) {
      truncateSync(journal(state), size);
      expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept')]);
      await store.append(runIdOf(RUN), noteOf('torn ä'));
      expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('torn ä')]);
    }
  });

  it('is repaired where the torn line is longer than what is read at once', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    writeFileSync(journal(state), 'x'.repeat(200_000), { flag: 'a' });
    await store.append(runIdOf(RUN), noteOf('next'));
    expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('next')]);
  });

  it('is for its owner alone', async () => {
    const state = join(stateDirectory(), 'made');
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('x'));
    const modes = [state, join(state, 'runs'), runDirectory(state)].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700, 0o700]);
    expect([join(runDirectory(state), 'header.json'), journal(state)].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  it('of a run whose header was never finished does not exist', async () => {
    const state = stateDirectory();
    mkdirSync(runDirectory(state), { recursive: true });
    writeFileSync(join(runDirectory(state), '.17-ab.tmp'), '{"schema":');
    const store = createRunStore(state);
    expect(await store.list()).toEqual([]);
    await store.create(headerOf(RUN));
    expect(await store.list()).toHaveLength(1);
  });

  it('does not hide other runs when one header is damaged', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.create(headerOf('20261122T211629Z-backup-bbbb'));
    writeFileSync(join(runDirectory(state), 'header.json'), '{');
    expect((await store.list()).map((run) => run.header.runId)).toEqual(['20261122T211629Z-backup-bbbb']);
  });

  asRoot('written by root belongs to the owner of the state directory', async () => {
    const state = stateDirectory();
    chownSync(state, 12345, 23456);
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('x'));
    const held = await createRunLock(state).acquire('main', holderOf(RUN));
    const paths = [
      join(state, 'runs'),
      runDirectory(state),
      join(runDirectory(state), 'header.json'),
      journal(state),
      join(state, 'locks'),
    ];
    const lockFile = join(state, 'locks', readdirSync(join(state, 'locks'))[0] ?? '');
    for (const path of [...paths, lockFile]) expect([path, statSync(path).uid, statSync(path).gid]).toEqual([path, 12345, 23456]);
    await held.release();
  });

  withMounts('on a full disk fails with DISK_FULL, loses nothing and goes on when there is space', async () => {
    const state = stateDirectory();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', state]);
    cleanUps.push(() => execFileSync('umount', [state]));
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    const ballast = join(state, 'ballast');
    execFileSync('sh', ['-c', 'cat /dev/zero > "$1" 2>/dev/null || true', 'sh', ballast]);
    const tooLong = noteOf('long '.repeat(2_000));
    await expect(store.append(runIdOf(RUN), tooLong)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(store.create(headerOf('20261122T211629Z-backup-bbbb'))).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(readFileSync(journal(state), 'utf8').endsWith('\n')).toBe(true);
    rmSync(ballast);
    await store.append(runIdOf(RUN), noteOf('next'));
    expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('next')]);
    expect(await store.list()).toHaveLength(1);
  });
});

/** A process of its own that takes the lock when told to. */
interface Taker {
  readonly process: ChildProcess;
  take(): void;
  /** The next line it prints. */
  line(): Promise<string>;
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

async function startTaker(state: string, options: { readonly host?: string; readonly afterwards?: 'stay' | 'leave' } = {}): Promise<Taker> {
  const child = spawn(process.execPath, [TAKER, state, 'main', options.host ?? 'db1', options.afterwards ?? 'stay'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const taker: Taker = {
    process: child,
    take: () => child.stdin.write('go\n'),
    line: async () => String((await lines.next()).value),
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
  cleanUps.push(() => taker.end('SIGKILL'));
  expect(await taker.line()).toBe('ready');
  return taker;
}

async function takenBy(state: string, host?: string): Promise<Taker> {
  const taker = await startTaker(state, host === undefined ? {} : { host });
  taker.take();
  expect(await taker.line()).toBe('held');
  return taker;
}

const lockFileOf = (state: string) => join(state, 'locks', readdirSync(join(state, 'locks')).find((name) => name.endsWith('.lock')) ?? '');

/** Changes what the lock file tells of its holder. */
function rewriteLock(state: string, change: Readonly<Record<string, unknown>>): void {
  const record: unknown = JSON.parse(readFileSync(lockFileOf(state), 'utf8'));
  writeFileSync(lockFileOf(state), JSON.stringify(Object.assign({}, record, change)));
}

describe('a lock on disk', () => {
  it('of another living process is respected', async () => {
    const state = stateDirectory();
    const taker = await takenBy(state);
    await expect(createRunLock(state).acquire('main', holderOf(RUN))).rejects.toMatchObject({
      code: 'LOCKED',
      details: { pid: taker.process.pid },
    });
  });

  it('of a process that was killed is taken over', async () => {
    const state = stateDirectory();
    await (await takenBy(state)).end('SIGKILL');
    const held = await createRunLock(state).acquire('main', holderOf(RUN));
    await held.release();
    expect(readdirSync(join(state, 'locks'))).toEqual([]);
  });

  it('of a process whose pid was used again is taken over', async () => {
    const state = stateDirectory();
    await takenBy(state);
    rewriteLock(state, { startTicks: '1' });
    await (await createRunLock(state).acquire('main', holderOf(RUN))).release();
  });

  it('from before the machine was started again is taken over', async () => {
    const state = stateDirectory();
    await takenBy(state);
    rewriteLock(state, { bootId: 'ffffffff-0000-4000-8000-000000000000' });
    await (await createRunLock(state).acquire('main', holderOf(RUN))).release();
  });

  it('of another host is respected, and the file to remove by hand is named', async () => {
    const state = stateDirectory();
    await (await takenBy(state, 'db2')).end('SIGKILL');
    rewriteLock(state, { bootId: 'ffffffff-0000-4000-8000-000000000000' });
    await expect(createRunLock(state).acquire('main', holderOf(RUN))).rejects.toMatchObject({
      code: 'LOCKED',
      hint: expect.stringContaining(`rm ${lockFileOf(state)}`),
    });
  });

  it('of another container on this host is respected: its pids mean nothing here', async () => {
    const state = stateDirectory();
    await (await takenBy(state)).end('SIGKILL');
    rewriteLock(state, { pidNamespace: 'pid:[1]' });
    await expect(createRunLock(state).acquire('main', holderOf(RUN))).rejects.toMatchObject({ code: 'LOCKED' });
  });

  it.each(['', '{', '\0\0\0\0'])('that was left holding %j by a crash of the machine is taken over', async (content) => {
    const state = stateDirectory();
    await (await createRunLock(state).acquire('main', holderOf(RUN))).release();
    const held = await createRunLock(state).acquire('main', holderOf(RUN));
    const path = lockFileOf(state);
    await held.release();
    writeFileSync(path, content);
    await (await createRunLock(state).acquire('main', holderOf(RUN))).release();
    expect(existsSync(path)).toBe(false);
  });

  it('in a form that a later version may have is respected', async () => {
    const state = stateDirectory();
    await takenBy(state);
    const path = lockFileOf(state);
    writeFileSync(path, '{"schema":2,"holder":{"pid":1}}');
    await expect(createRunLock(state).acquire('main', holderOf(RUN))).rejects.toMatchObject({
      code: 'LOCKED',
      details: { lockFile: path },
    });
  });

  it('that its holder left behind goes to exactly one of several processes that take it over at once', async () => {
    for (let round = 0; round < 4; round += 1) {
      const state = stateDirectory();
      await (await takenBy(state)).end('SIGKILL');
      const takers = await Promise.all(Array.from({ length: 5 }, () => startTaker(state)));
      for (const taker of takers) taker.take();
      const answers = await Promise.all(takers.map((taker) => taker.line()));
      expect(answers.toSorted()).toEqual(['LOCKED', 'LOCKED', 'LOCKED', 'LOCKED', 'held']);
    }
  });

  it('is taken over also when a former taker died in the middle of taking it over', async () => {
    const state = stateDirectory();
    const first = await takenBy(state);
    await first.end('SIGKILL');
    const path = lockFileOf(state);
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const guardRecord = { ...(record as Record<string, unknown>), token: 'f'.repeat(32) };
    writeFileSync(`${path}.${(record as { token: string }).token}`, JSON.stringify(guardRecord));
    await (await createRunLock(state).acquire('main', holderOf(RUN))).release();
    expect(readdirSync(join(state, 'locks'))).toEqual([]);
  });
});
