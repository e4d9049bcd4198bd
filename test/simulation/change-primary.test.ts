import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailoverIntent } from '../../src/workflows/change-primary/intent.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import type { Disturbance } from '../fakes/process.ts';
import { ChangeCluster } from './change-cluster.ts';
import { attempt, decideToFailOver, decideToSwitchOver, expectNothingLost, expectSettled } from './change-play.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

interface Blow {
  readonly place: number;
  /** `starts everything`: somebody, or a service manager, starts whatever does not run. */
  readonly kind: 'crash' | 'machine crash' | 'cancel' | 'starts everything';
  readonly moment: Disturbance['moment'];
}

const blowOf = (...kinds: Blow['kind'][]): fc.Arbitrary<Blow> =>
  fc.record({ place: share, kind: fc.constantFrom(...kinds), moment: fc.constantFrom('before', 'during', 'after') });
const names: fc.Arbitrary<readonly string[]> = fc.constantFrom<readonly string[]>(['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd-1']);
const ANY = blowOf('crash', 'machine crash', 'cancel', 'starts everything');
/** What ends this program, and nothing else. */
const OURS = blowOf('crash', 'cancel');

function disturbance(cluster: ChangeCluster, { kind, moment }: Blow): Disturbance {
  return kind === 'starts everything' ? { kind: 'act', moment, act: () => cluster.startEverything() } : { kind, moment };
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
      const calm = afterAccident(all);
      const { process } = await attempt(calm, await decideToFailOver(calm));
      const cluster = afterAccident(all);
      const intent = await decideToFailOver(cluster);
      const end = await play(cluster, intent, process.points, blows);
      // Who followed the old primary while it was back has WAL that the new one has not, and is to be seeded again.
      if (end.kind === 'done') expect(cluster.writable).toEqual([intent.to]);
      cluster.startEverything();
      expect(cluster.world.violations).toEqual([]);
    };
    await fc.assert(fc.asyncProperty(names, fc.array(ANY, { minLength: 1, maxLength: 3 }), story), simulation(400));
  });
});
