import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { patroniWorkflow } from '../../src/engine/patroni-workflow.ts';
import { asSpokeError } from '../../src/errors.ts';
import { decideSwitchoverByPatroni } from '../../src/workflows/patroni/decide.ts';
import { observeForPatroni } from '../../src/workflows/patroni/facts.ts';
import type { SwitchLeaderIntent } from '../../src/workflows/patroni/intent.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { type Attempt, expectNothingLost, expectSettled, headerOf, RUN } from './change-play.ts';
import { PatroniManaged, type Temper } from './patroni-cluster.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

const CONTEXT = { signal: new AbortController().signal };

interface Blow {
  readonly place: number;
  /** `hands over`: somebody else does, to the last node. */
  readonly kind: 'crash' | 'cancel' | 'hands over';
  readonly moment: Disturbance['moment'];
}

const blowOf = (...kinds: Blow['kind'][]): fc.Arbitrary<Blow> =>
  fc.record({ place: share, kind: fc.constantFrom(...kinds), moment: fc.constantFrom('before', 'during', 'after') });
const names: fc.Arbitrary<readonly string[]> = fc.constantFrom<readonly string[]>(['a', 'b'], ['a', 'b', 'c']);

async function decide(managed: PatroniManaged): Promise<SwitchLeaderIntent> {
  const facts = await observeForPatroni(managed.config, managed.ports(new FakeProcess(managed.cluster.world)), CONTEXT);
  const intent = decideSwitchoverByPatroni(managed.config, { to: 'b', thenBackup: false, run: RUN }, facts);
  return JSON.parse(JSON.stringify(intent)) as SwitchLeaderIntent;
}

async function attempt(
  managed: PatroniManaged,
  intent: SwitchLeaderIntent,
  disturbances: ReadonlyMap<number, Disturbance> = new Map(),
): Promise<Attempt> {
  const process = new FakeProcess(managed.cluster.world, { disturbances });
  const ports = managed.ports(process);
  const context = { ports, handlers: createStepHandlers(ports), emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    await executeRun(patroniWorkflow(managed.config, intent.verb, ports), headerOf(intent), context);
    return { end: { kind: 'done' }, process };
  } catch (thrown) {
    return { end: process.isAlive ? { kind: 'failed', error: asSpokeError(thrown) } : { kind: 'died' }, process };
  }
}

/** Each blow in its turn, then once without. Whoever lives on has no client waiting. */
async function play(managed: PatroniManaged, intent: SwitchLeaderIntent, points: number, blows: readonly Blow[]): Promise<Attempt['end']> {
  const { cluster } = managed;
  const last = cluster.nodes.nodes.at(-1)?.name ?? '';
  for (const { place, kind, moment } of blows) {
    const act = () => managed.handOver(last);
    // Whoever is cancelled cleans up undisturbed: what is cut off by halves is so by death.
    const whole = kind === 'cancel' && moment === 'during' ? 'after' : moment;
    const disturbance: Disturbance = kind === 'hands over' ? { kind: 'act', moment, act } : { kind, moment: whole };
    const { end, process } = await attempt(managed, intent, new Map([[1 + Math.floor(place * points), disturbance]]));
    if (end.kind === 'died') continue;
    const when = `${kind} ${moment} ${process.passed.join(', ')}`;
    expectNobodyWaits(managed, when);
    // Nor is anybody sent to who ceases to lead by what Patroni was asked for.
    managed.settle();
    if (!blows.some((blow) => blow.kind === 'hands over')) expectServedByLeader(managed, when);
  }
  const { end } = await attempt(managed, intent);
  expectNobodyWaits(managed, end.kind);
  return end;
}

function expectNobodyWaits({ cluster, leader }: PatroniManaged, when: string): void {
  expect(cluster.world.violations, when).toEqual([]);
  expect(cluster.writable, when).toEqual([leader]);
  expect(cluster.bouncer.paused, when).toEqual(new Set());
}

function expectServedByLeader({ cluster, leader }: PatroniManaged, when: string): void {
  expect(cluster.bouncer.portOf('app'), when).toBe(cluster.nodes.named(leader).port);
}

async function pointsOf(all: readonly string[], temper: Temper): Promise<number> {
  const calm = new PatroniManaged(all);
  calm.temper = temper;
  const { process } = await attempt(calm, await decide(calm));
  return process.points;
}

function managedBy(all: readonly string[], temper: Temper): PatroniManaged {
  const managed = new PatroniManaged(all);
  managed.temper = temper;
  return managed;
}

describe('a switchover by Patroni that is interrupted', () => {
  it('comes to the same end however often this program is ended, loses nothing, and is done once', async () => {
    const story = async (all: readonly string[], temper: Temper, blows: readonly Blow[]) => {
      const managed = managedBy(all, temper);
      expect(await play(managed, await decide(managed), await pointsOf(all, temper), blows)).toEqual({ kind: 'done' });
      expectSettled(managed.cluster, 'b');
      expectNothingLost(managed.cluster, 'b');
      expect(managed.cluster.nodes.named('b').timeline).toBe(2);
      // Asked again only by who died before he heard of it, and while the same leader led.
      for (const asked of managed.asked) expect(asked).toEqual({ candidate: 'b', timeline: 1 });
    };
    const tempers = fc.constantFrom<Temper>('at once', 'later');
    await fc.assert(
      fc.asyncProperty(names, tempers, fc.array(blowOf('crash', 'cancel'), { minLength: 1, maxLength: 3 }), story),
      simulation(400),
    );
  });

  it('has clients go on with whoever leads, and asks for nothing more, where another one leads meanwhile', async () => {
    const story = async (temper: Temper, blows: readonly Blow[]) => {
      const managed = managedBy(['a', 'b', 'c'], temper);
      const end = await play(managed, await decide(managed), await pointsOf(['a', 'b', 'c'], temper), blows);
      if (end.kind === 'done') expect(managed.leader).toBe('b');
      expectNothingLost(managed.cluster, managed.leader);
      for (const asked of managed.asked) expect(asked).toEqual({ candidate: 'b', timeline: 1 });
    };
    const tempers = fc.constantFrom<Temper>('at once', 'later', 'elsewhere', 'refuses');
    const blows = fc.array(blowOf('crash', 'cancel', 'hands over'), { minLength: 1, maxLength: 3 });
    await fc.assert(fc.asyncProperty(tempers, blows, story), simulation(400));
  });

  it.each<{ readonly temper: Temper; readonly leader: string }>([
    { temper: 'refuses', leader: 'a' },
    { temper: 'elsewhere', leader: 'c' },
  ])('has clients go on with $leader where Patroni $temper', async ({ temper, leader }) => {
    const managed = managedBy(['a', 'b', 'c'], temper);
    const { end } = await attempt(managed, await decide(managed));
    expect(end).toMatchObject({ kind: 'failed', error: { code: 'PATRONI_FAILED' } });
    expectNobodyWaits(managed, temper);
    expect(managed.leader).toBe(leader);
    expectServedByLeader(managed, temper);
  });
});
