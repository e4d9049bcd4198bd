import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailoverIntent } from '../../src/workflows/change-primary/intent.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import type { Disturbance } from '../fakes/process.ts';
import { ChangeCluster } from './change-cluster.ts';
import { attempt, cameTo, decideToFailOver, decideToSwitchOver, expectNothingLost, expectSettled, giveUp } from './change-play.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

interface Blow {
  readonly place: number;
  /**
   * `starts everything`: somebody, or a service manager, starts whatever does not run. `old primary writes on`: it is started, the first
   * standby gets what it has, and it writes more. `old primary serves`: it is started as a primary, where nobody else is one.
   */
  readonly kind: 'crash' | 'machine crash' | 'cancel' | 'starts everything' | 'old primary writes on' | 'old primary serves';
  readonly moment: Disturbance['moment'];
}

const blowOf = (...kinds: Blow['kind'][]): fc.Arbitrary<Blow> =>
  fc.record({ place: share, kind: fc.constantFrom(...kinds), moment: fc.constantFrom('before', 'during', 'after') });
const names: fc.Arbitrary<readonly string[]> = fc.constantFrom<readonly string[]>(['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd-1']);
const ANY = blowOf('crash', 'machine crash', 'cancel', 'starts everything');
const WRITING_ON = blowOf('crash', 'cancel', 'starts everything', 'old primary writes on');
const STARTING = blowOf('crash', 'cancel', 'starts everything', 'old primary serves');
/** What ends this program, and nothing else. */
const OURS = blowOf('crash', 'cancel');

function disturbance(cluster: ChangeCluster, { kind, moment }: Blow): Disturbance {
  if (kind === 'starts everything') return { kind: 'act', moment, act: () => cluster.startEverything() };
  // Between the last look and pg_promote() nothing is left to see it.
  if (kind === 'old primary serves')
    return { kind: 'act', moment, act: (point) => (point === 'promote' ? undefined : cluster.startFirstAsPrimary()) };
  return kind === 'old primary writes on' ? { kind: 'act', moment, act: () => oldPrimaryWritesOn(cluster) } : { kind, moment };
}

function oldPrimaryWritesOn(cluster: ChangeCluster): void {
  const [a, b] = cluster.nodes.nodes;
  a?.start();
  cluster.world.onChange();
  if (a?.isWritable === true && b?.upstream() === a) b.wal = [...a.wal];
  cluster.world.onChange();
}

/** Each blow in its turn, then once without. */
async function play(cluster: ChangeCluster, intent: Parameters<typeof attempt>[1], points: number, blows: readonly Blow[]) {
  for (const blow of blows) {
    const place = 1 + Math.floor(blow.place * points);
    const { process } = await attempt(cluster, intent, new Map([[place, disturbance(cluster, blow)]]));
    expect(cluster.world.violations, `${blow.kind} ${blow.moment} ${process.passed.at(-1)}`).toEqual([]);
  }
  const last = await attempt(cluster, intent);
  expect(cluster.world.violations).toEqual([]);
  return last.end;
}

async function pointsOfSwitchover(all: readonly string[]): Promise<number> {
  const calm = new ChangeCluster(all);
  const { end, process } = await attempt(calm, await decideToSwitchOver(calm, 'b'));
  expect(end).toEqual({ kind: 'done' });
  expectSettled(calm, 'b');
  expectNothingLost(calm, 'b');
  return process.points;
}

/** a has been killed; the last of the others has most of what it had, but not all. */
function afterAccident(all: readonly string[]): ChangeCluster {
  const cluster = new ChangeCluster(all);
  const [a, ...others] = cluster.nodes.nodes;
  const last = others.at(-1);
  for (const node of others) {
    cluster.world.onChange();
    if (a !== undefined && node === last) node.wal = [...a.wal];
  }
  cluster.world.onChange();
  if (a !== undefined) a.isRunning = false;
  return cluster;
}

/** Begun after the accident, struck by each blow in its turn, and gone on with. */
async function playFailover(all: readonly string[], blows: readonly Blow[]) {
  const calm = afterAccident(all);
  const { process } = await attempt(calm, await decideToFailOver(calm));
  const cluster = afterAccident(all);
  const intent = await decideToFailOver(cluster);
  return { cluster, intent, end: await play(cluster, intent, process.points, blows) };
}

describe('a switchover that is interrupted', () => {
  it('comes to the same end however often this program is ended, and loses nothing', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[]) => {
      const points = await pointsOfSwitchover(all);
      const cluster = new ChangeCluster(all);
      expect(await play(cluster, await decideToSwitchOver(cluster, 'b'), points, blows)).toEqual({ kind: 'done' });
      expectSettled(cluster, 'b');
      expectNothingLost(cluster, 'b');
    };
    await fc.assert(fc.asyncProperty(names, fc.array(OURS, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });

  it('never has two primaries and loses nothing, whoever starts servers and whatever machine fails', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[]) => {
      const points = await pointsOfSwitchover(all);
      const cluster = new ChangeCluster(all);
      const end = await play(cluster, await decideToSwitchOver(cluster, 'b'), points, blows);
      if (end.kind === 'done') expectSettled(cluster, 'b');
      // Where it could not go on there is a node with everything: the primary, or one that can be promoted.
      const holders = cluster.writable.length > 0 ? cluster.writable : all;
      const complete = holders.filter((name) => cluster.acknowledged.every((number) => cluster.nodes.named(name).rows.includes(number)));
      expect(complete).not.toEqual([]);
    };
    await fc.assert(fc.asyncProperty(names, fc.array(ANY, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });
});

describe('a switchover whose old primary somebody starts again', () => {
  it('goes on, or is cancelled and the old primary serves: whatever it was started as, and whenever', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[], isCancelled: boolean) => {
      const points = await pointsOfSwitchover(all);
      const cluster = new ChangeCluster(all);
      const intent = await decideToSwitchOver(cluster, 'b');
      for (const blow of blows) {
        const place = 1 + Math.floor(blow.place * points);
        await attempt(cluster, intent, new Map([[place, disturbance(cluster, blow)]]));
      }
      expect(cluster.world.violations).toEqual([]);
      const refusal = isCancelled ? await giveUp(cluster, intent) : undefined;
      const isGivenUp = isCancelled && refusal === undefined;
      if (!isGivenUp) expect((await attempt(cluster, intent)).end).toEqual({ kind: 'done' });
      expect(cluster.world.violations).toEqual([]);
      const primary = isGivenUp ? 'a' : 'b';
      expectSettled(cluster, primary);
      expectNothingLost(cluster, primary);
    };
    const blows = fc.array(STARTING, { minLength: 1, maxLength: 3 });
    await fc.assert(fc.asyncProperty(names, blows, fc.boolean(), story), simulation(400));
  });
});

describe('a failover that is interrupted', () => {
  it('comes to the same end however often this program is ended, and loses exactly what it said', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[]) => {
      const calm = afterAccident(all);
      const { end, process } = await attempt(calm, await decideToFailOver(calm));
      expect(end).toEqual({ kind: 'done' });
      const cluster = afterAccident(all);
      const intent = (await decideToFailOver(cluster)) as FailoverIntent;
      expect(intent.to).toBe(all.at(-1));
      const [before, old] = [[...cluster.acknowledged], cluster.nodes.named('a')];
      const lost = old.wal.slice(Number((parseLsn(intent.lost.fromLsn) - 0x3000000n) / 0x100n));
      expect(intent.lost.isExact).toBe(true);
      expect(await play(cluster, intent, process.points, blows)).toEqual({ kind: 'done' });
      expectSettled(cluster, intent.to);
      const rows = cluster.nodes.named(intent.to).rows;
      expect(before.filter((number) => !rows.includes(number))).toEqual(lost);
      old.start();
      expect(old.isWritable).toBe(false);
    };
    await fc.assert(fc.asyncProperty(names, fc.array(OURS, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });

  it('never has two primaries, also where the old one is started again meanwhile', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[]) => {
      const { cluster, intent, end } = await playFailover(all, blows);
      // Who followed the old primary while it was back has WAL that the new one has not, and is to be seeded again.
      if (end.kind === 'done') expect(cluster.writable).toEqual([intent.to]);
      cluster.startEverything();
      expect(cluster.world.violations).toEqual([]);
    };
    await fc.assert(fc.asyncProperty(names, fc.array(ANY, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });

  it('tells what is lost as of after the fence, and takes whoever has most then', async () => {
    const story = async (all: readonly string[], blows: readonly Blow[]) => {
      const { cluster, intent, end } = await playFailover(all, blows);
      if (end.kind === 'done') await expectLossAsSaid(cluster, intent);
    };
    await fc.assert(fc.asyncProperty(names, fc.array(WRITING_ON, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });

  /** Until the old primary is stopped it writes, and only the first standby, which had least, gets that. */
  const overtaken = async (to?: string) => {
    const calm = afterAccident(['a', 'b', 'c']);
    const { process } = await attempt(calm, await decideToFailOver(calm));
    const stop = process.passed.findIndex((name) => name.includes('standby.signal'));
    const cluster = afterAccident(['a', 'b', 'c']);
    const intent = (await decideToFailOver(cluster, to)) as FailoverIntent;
    expect(intent.to).toBe('c');
    const overtaking = { kind: 'act', moment: 'before', act: () => oldPrimaryWritesOn(cluster) } as const;
    const { end } = await attempt(cluster, intent, new Map([[stop, overtaking]]));
    expect(cluster.world.violations).toEqual([]);
    return { cluster, intent, end };
  };

  it('promotes the standby that has overtaken the chosen one before the fence', async () => {
    const { cluster, intent, end } = await overtaken();
    expect(end).toEqual({ kind: 'done' });
    expectSettled(cluster, 'b');
    expect((await cameTo(cluster, intent)).to).toBe('b');
    await expectLossAsSaid(cluster, intent);
  });

  it('promotes nobody where a named standby would by now lose more than was said', async () => {
    const { cluster, end } = await overtaken('c');
    expect(end).toMatchObject({ kind: 'failed', error: { code: 'PLAN_STALE' } });
    expect(cluster.writable).toEqual([]);
  });
});

/** Whatever was acknowledged and is not in the new primary lies in the range that was told, and all that lies in it is missing. */
async function expectLossAsSaid(cluster: ChangeCluster, intent: Parameters<typeof attempt>[1]): Promise<void> {
  const { to, lost } = await cameTo(cluster, intent);
  expect(cluster.writable).toEqual([to]);
  expect(lost?.isExact).toBe(true);
  const range = [lost?.fromLsn, lost?.toLsn].map((lsn) => Number((parseLsn(lsn ?? '') - 0x3000000n) / 0x100n));
  const gone = cluster.nodes.named('a').wal.slice(...range);
  const rows = new Set(cluster.nodes.named(to).rows);
  expect(cluster.acknowledged.filter((number) => !rows.has(number))).toEqual(gone.filter((record) => typeof record === 'number'));
}
