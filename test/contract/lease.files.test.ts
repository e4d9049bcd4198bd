import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/clock.ts';
import { createLeaseFiles } from '../../src/adapters/state/lease-files.ts';
import { claimOf, FIRST, holderOf, leaseContract, leaseOf } from './lease.contract.ts';
import { asRoot } from './privileges.ts';
import { leaseFileOf, rewriteLease, startTaker, takenBy } from './taker.ts';

const clock = createSystemClock();
const signal = new AbortController().signal;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

leaseContract('files in the state directory', () => {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  return Promise.resolve({
    open: () => createLeaseFiles(join(directory, 'not', 'yet', 'there'), clock),
    dispose: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  });
});

const acquire = (state: string) => createLeaseFiles(state, clock).tryAcquire(claimOf(), holderOf(FIRST), signal);

describe('a lease in a file', () => {
  it('of another living process is respected', async () => {
    const state = stateDirectory();
    const taker = await takenBy(state, cleanUps);
    expect(await acquire(state)).toMatchObject({ kind: 'held', by: { holder: { pid: taker.process.pid }, isOutOfSight: false } });
  });

  it('of a process that was killed is taken over, and nothing is left of either', async () => {
    const state = stateDirectory();
    await (await takenBy(state, cleanUps)).end('SIGKILL');
    await leaseOf(await acquire(state)).release();
    expect(readdirSync(join(state, 'locks'))).toEqual(['epoch']);
  });

  it('of a process whose pid was used again is taken over', async () => {
    const state = stateDirectory();
    await takenBy(state, cleanUps);
    rewriteLease(state, { startTicks: '1' });
    await leaseOf(await acquire(state)).release();
  });

  it('from before the machine was started again is taken over', async () => {
    const state = stateDirectory();
    await takenBy(state, cleanUps);
    rewriteLease(state, { bootId: 'ffffffff-0000-4000-8000-000000000000' });
    await leaseOf(await acquire(state)).release();
  });

  it('of another host is respected, and the file to remove by hand is named', async () => {
    const state = stateDirectory();
    await (await takenBy(state, cleanUps, 'db2')).end('SIGKILL');
    rewriteLease(state, { bootId: 'ffffffff-0000-4000-8000-000000000000' });
    expect(await acquire(state)).toMatchObject({ kind: 'held', by: { isOutOfSight: true, file: leaseFileOf(state) } });
  });

  it('of another container on this host is respected: its pids mean nothing here', async () => {
    const state = stateDirectory();
    await (await takenBy(state, cleanUps)).end('SIGKILL');
    rewriteLease(state, { pidNamespace: 'pid:[1]' });
    expect(await acquire(state)).toMatchObject({ kind: 'held', by: { isOutOfSight: true } });
  });

  it.each(['', '{', '\0\0\0\0'])('that was left holding %j by a crash of the machine is taken over', async (content) => {
    const state = stateDirectory();
    leaseOf(await acquire(state));
    const path = leaseFileOf(state);
    writeFileSync(path, content);
    await leaseOf(await acquire(state)).release();
    expect(existsSync(path)).toBe(false);
  });

  it('in a form that a later version may have is respected', async () => {
    const state = stateDirectory();
    await takenBy(state, cleanUps);
    const path = leaseFileOf(state);
    writeFileSync(path, '{"schema":2,"holder":{"pid":1}}');
    await expect(acquire(state)).rejects.toMatchObject({ code: 'LOCKED', details: { lockFile: path } });
  });

  it('that its holder left behind goes to exactly one of several processes that take it over at once', async () => {
    for (let round = 0; round < 3; round += 1) {
      const state = stateDirectory();
      await (await takenBy(state, cleanUps)).end('SIGKILL');
      const takers = await Promise.all(Array.from({ length: 5 }, () => startTaker(state, cleanUps)));
      for (const taker of takers) taker.take();
      const answers = await Promise.all(takers.map((taker) => taker.line()));
      expect(answers.toSorted()).toEqual(['acquired', 'held', 'held', 'held', 'held']);
    }
  });

  it('is had also when others died while they held the guard, and while they took it over', async () => {
    const state = stateDirectory();
    await (await takenBy(state, cleanUps)).end('SIGKILL');
    const record = JSON.parse(readFileSync(leaseFileOf(state), 'utf8')) as { token: string };
    const guard = join(state, 'locks', 'guard.lock');
    writeFileSync(guard, JSON.stringify(record));
    writeFileSync(`${guard}.${record.token}`, JSON.stringify({ ...record, token: 'f'.repeat(32) }));
    await leaseOf(await acquire(state)).release();
    expect(readdirSync(join(state, 'locks'))).toEqual(['epoch']);
  });

  asRoot('written by root belongs to the owner of the state directory', async () => {
    const state = stateDirectory();
    chownSync(state, 12345, 23456);
    const lease = leaseOf(await acquire(state));
    for (const path of [join(state, 'locks'), leaseFileOf(state)])
      expect([path, statSync(path).uid, statSync(path).gid]).toEqual([path, 12345, 23456]);
    await lease.release();
  });
});
