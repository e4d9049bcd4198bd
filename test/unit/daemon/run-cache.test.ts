import { beforeEach, describe, expect, it } from 'vitest';
import { RunCache } from '../../../src/daemon/run-cache.ts';
import { addMicros, instantOfMillis } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { JournalEntry, RunId, RunOutcome, RunProcesses, RunReader, StoredRun } from '../../../src/ports/run-store.ts';

const NOW = instantOfMillis(Date.parse('2026-11-22T12:00:00Z'));
const DAY_MICROS = 86_400_000_000n;

describe('the runs that a daemon remembers', () => {
  const stored = new Map<RunId, StoredRun>();
  const alive = new Set<RunId>();
  let reads: RunId[];
  let cache: RunCache;

  beforeEach(() => {
    stored.clear();
    alive.clear();
    reads = [];
    const runs = {
      listIds: () => Promise.resolve([...stored.keys()].toReversed()),
      read(runId: RunId) {
        reads.push(runId);
        const found = stored.get(runId);
        return found === undefined ? Promise.reject(new SpokeError('RUN_NOT_FOUND', 'damaged')) : Promise.resolve(found);
      },
    } as unknown as RunReader;
    const processes = { find: (runId: RunId) => Promise.resolve(alive.has(runId) ? {} : undefined) } as unknown as RunProcesses;
    cache = new RunCache(runs, processes);
  });

  function add(id: string, outcome: RunOutcome | undefined, { cluster = 'main', daysAgo = 0n } = {}): RunId {
    const runId = id as RunId;
    const startedAt = addMicros(NOW, -daysAgo * DAY_MICROS);
    const header = {
      runId,
      verb: 'backup',
      cluster,
      startedAt,
      host: 'db1',
      user: 'postgres',
      programVersion: '0.1.0',
      trigger: { kind: 'manual' },
    } as const;
    const intent = { cluster, type: 'full', repositories: ['local'] };
    const entries: JournalEntry[] = [{ at: startedAt, kind: 'attempt', pid: 1, detail: {} }];
    if (outcome !== undefined) entries.push({ at: startedAt, kind: 'run-finished', outcome, result: {} });
    stored.set(runId, { header: { ...header, intent }, entries });
    return runId;
  }

  const states = async (cluster = 'main') => (await cache.ofCluster(cluster, NOW)).past.map(({ state }) => state.kind);

  it('are those of the cluster alone', async () => {
    add('a', 'succeeded');
    add('b', 'succeeded', { cluster: 'other' });
    expect((await cache.ofCluster('main', NOW)).past.map(({ runId }) => runId)).toEqual(['a']);
  });

  it('are read once when they have succeeded', async () => {
    add('a', 'succeeded');
    await states();
    await states();
    expect(reads).toEqual(['a']);
  });

  it('are read again while somebody may go on with them', async () => {
    add('a', 'failed');
    expect(await states()).toEqual(['failed']);
    add('a', 'succeeded');
    expect(await states()).toEqual(['succeeded']);
  });

  it('are not read again when they failed long ago', async () => {
    add('a', 'failed', { daysAgo: 30n });
    await states();
    await states();
    expect(reads).toEqual(['a']);
  });

  it('are running while their process lives, and interrupted after that', async () => {
    const runId = add('a', undefined);
    alive.add(runId);
    expect(await states()).toEqual(['running']);
    alive.clear();
    expect(await states()).toEqual(['interrupted']);
  });

  it('are forgotten when their journals are gone', async () => {
    const runId = add('a', 'succeeded');
    await states();
    stored.delete(runId);
    expect(await states()).toEqual([]);
  });

  it('say nothing where their journal cannot be read', async () => {
    add('a', 'succeeded');
    stored.set('b' as RunId, undefined as unknown as StoredRun);
    expect(await states()).toEqual(['succeeded']);
  });
});
