import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createRunProcesses } from '../../src/adapters/state/run-processes.ts';
import { runIdOf } from './run-store.contract.ts';
import { leaseFileOf, rewriteLease, type Taker, takenBy } from './taker.ts';

const OTHER_RUN = runIdOf('20261122T211628Z-restore-aaaa');

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const runOf = (taker: Taker) => runIdOf(`20261122T211628Z-backup-${taker.process.pid ?? 0}`);
const lives = ({ process: { exitCode, signalCode } }: Taker) => exitCode === null && signalCode === null;

describe('the process of a run', () => {
  it('is found by the lease that it holds, and ends when it is told to', async () => {
    const state = stateDirectory();
    const processes = createRunProcesses(state);
    expect(await processes.find(OTHER_RUN)).toBeUndefined();
    const taker = await takenBy(state, cleanUps);
    expect(await processes.find(runOf(taker))).toEqual({ pid: taker.process.pid, host: 'db1', place: 'here', isService: false });
    const exited = once(taker.process, 'exit');
    expect(await processes.terminate(runOf(taker))).toBe(true);
    expect(await exited).toEqual([null, 'SIGTERM']);
    expect(await processes.find(runOf(taker))).toBeUndefined();
    expect(await processes.terminate(runOf(taker))).toBe(false);
  });

  it('is not one that works on another run', async () => {
    const state = stateDirectory();
    const taker = await takenBy(state, cleanUps);
    const processes = createRunProcesses(state);
    expect(await processes.find(OTHER_RUN)).toBeUndefined();
    expect(await processes.terminate(OTHER_RUN)).toBe(false);
    expect(lives(taker)).toBe(true);
  });

  it.each([
    ['started later with the same pid', { startTicks: '1' }, undefined],
    ['of a boot before this one', { bootId: 'ffffffff-0000-4000-8000-000000000000', host: hostname() }, undefined],
    ['of another container', { pidNamespace: 'pid:[1]' }, 'elsewhere'],
    ['of another host', { bootId: 'ffffffff-0000-4000-8000-000000000000', host: 'elsewhere' }, 'elsewhere'],
  ])('%s is never sent a signal', async (_what, changes, place) => {
    const state = stateDirectory();
    const taker = await takenBy(state, cleanUps);
    rewriteLease(state, changes);
    const processes = createRunProcesses(state);
    expect((await processes.find(runOf(taker)))?.place).toBe(place);
    expect(await processes.terminate(runOf(taker))).toBe(false);
    expect(lives(taker)).toBe(true);
  });

  it('is not guessed where a lease has a form that a later version may have', async () => {
    const state = stateDirectory();
    const taker = await takenBy(state, cleanUps);
    writeFileSync(leaseFileOf(state), '{"schema":2,"holder":{"pid":1}}');
    await expect(createRunProcesses(state).terminate(runOf(taker))).rejects.toMatchObject({ code: 'LOCKED' });
    expect(lives(taker)).toBe(true);
  });
});
