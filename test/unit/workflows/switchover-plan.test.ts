import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Step } from '../../../src/plan/step.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import type { JournalEntry } from '../../../src/ports/run-store.ts';
import { leadsBack, planBringingBack } from '../../../src/workflows/switchover/bring-back.ts';
import { planSwitchover } from '../../../src/workflows/switchover/plan.ts';
import { files, MIB, OTHERS, OURS, primary, server, standby } from '../domain/topology/facts.ts';
import { ClusterModel, type ClusterShape, INTENT } from './switchover-world.ts';

const shapes: fc.Arbitrary<ClusterShape> = fc.record({
  others: fc.constantFrom([], ['c'], ['c', 'd-1']),
  hasBouncer: fc.boolean(),
  hasEndpoints: fc.boolean(),
  lacksPassfile: fc.boolean(),
});
const FULL: ClusterShape = { others: ['c'], hasBouncer: true, hasEndpoints: true, lacksPassfile: true };

const plan = (model: ClusterModel) => planSwitchover(INTENT, model.facts()).steps;
const changes = (steps: readonly Step[]) => steps.filter(({ effect }) => effect !== 'read').map(({ id }) => id);
const place = (steps: readonly Step[], kind: Step['kind']) => steps.findIndex((step) => step.kind === kind);

describe('the plan of a switchover', () => {
  it('has everything in its order, clients first once there is a new primary', () => {
    expect(plan(new ClusterModel(FULL)).map(({ id }) => id)).toEqual([
      'write-passfile a',
      'configure-server a',
      'checkpoint',
      'pause-pgbouncer front',
      'confirm-roles',
      'stop-primary a',
      'await-replay',
      'promote-standby',
      'repoint-pgbouncer front',
      'resume-pgbouncer front',
      'ensure-slots',
      'publish-endpoints',
      'configure-server c',
      'start-standby a',
      'check-streaming a',
      'check-streaming c',
      'drop-slots a',
      'checkpoint of the new timeline',
      'repoint-pgbouncer front and all standbys',
      'publish-endpoints and all standbys',
    ]);
  });

  it('stops an old primary that somebody has started as a standby, and starts it again when there is a new one', () => {
    const model = new ClusterModel({ ...FULL, hasBouncer: false, hasEndpoints: false });
    model.old = 'standby';
    const ids = plan(model).map(({ id }) => id);
    expect(ids.slice(0, 3)).toEqual(['stop-primary a', 'await-replay', 'promote-standby']);
    expect(ids.filter((id) => id.endsWith(' a'))).toEqual(['stop-primary a', 'start-standby a', 'check-streaming a', 'drop-slots a']);
  });

  it('promotes only after the old primary was stopped, its last WAL replayed, and roles looked at right before the stop', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const steps = plan(new ClusterModel(shape));
        const stop = place(steps, 'stop-primary');
        expect(steps[stop - 1]?.kind).toBe('confirm-roles');
        expect(steps.slice(stop, stop + 3).map(({ kind }) => kind)).toEqual(['stop-primary', 'await-replay', 'promote-standby']);
        expect(steps.slice(0, stop).every(({ effect }) => effect !== 'destructive')).toBe(true);
        expect(steps[stop + 2]).toMatchObject({ fences: [{ kind: 'stopped', server: INTENT.from }] });
        expect(place(steps, 'start-standby')).toBeGreaterThan(stop + 2);
        if (shape.hasBouncer) expect(place(steps, 'resume-pgbouncer')).toBeGreaterThan(place(steps, 'repoint-pgbouncer'));
      }),
    );
  });

  it('planned again after any step, is the rest of the plan before it: only what prepares the stop is done once more', () => {
    fc.assert(
      fc.property(shapes, fc.nat(30), (shape, asked) => {
        const model = new ClusterModel(shape);
        const whole = plan(model);
        const done = Math.min(asked, whole.length);
        for (const step of whole.slice(0, done)) model.do(step);
        const [rest, again] = [changes(whole.slice(done)), changes(plan(model))];
        if (model.old === 'primary') expect(again.slice(again.length - rest.length)).toEqual(rest);
        else expect(again).toEqual(rest);
      }),
    );
  });

  it('never makes two primaries, wherever it is begun anew, and ends with nothing left to do', () => {
    fc.assert(
      fc.property(shapes, fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 12 }), (shape, deaths) => {
        const model = new ClusterModel(shape);
        for (const steps of deaths) for (const step of plan(model).slice(0, steps)) model.do(step);
        for (const step of plan(model)) model.do(step);
        expect(changes(plan(model))).toEqual([]);
        expect([model.old, model.candidate, model.paused]).toEqual(['standby', 'primary', false]);
      }),
    );
  });

  const refuses = (nodes: Parameters<typeof topologyOf>[0]) => {
    const facts = { ...new ClusterModel(FULL).facts(), topology: topologyOf(nodes, OURS) };
    return () => planSwitchover(INTENT, facts);
  };
  const B = standby('b', { received: MIB, replayed: MIB, of: 'a' });

  it('is refused where somebody else became a primary, or the old one came back beside the new one', () => {
    expect(refuses([primary('a', MIB), B, primary('c', MIB)])).toThrow('c is a primary now');
    expect(refuses([primary('a', MIB), primary('b', MIB)])).toThrow('b and a are both primaries');
  });

  it('is refused where a node was put in the place of another cluster, or does not answer', () => {
    expect(refuses([{ node: 'a', server: server({ systemIdentifier: OTHERS }) }, B])).toThrow('a is of another cluster now');
    expect(refuses([{ node: 'a', unreachable: 'no route' }, B])).toThrow('a does not answer');
    expect(refuses([primary('a', MIB), standby('b', { received: MIB, replayed: MIB, of: 'a', timeline: 3 })])).toThrow('timeline 3');
  });
});

describe('the way back of a switchover that failed', () => {
  const entry = (step: string) => ({ at: 0n, kind: 'step-started', step, detail: {} }) as unknown as JournalEntry;
  const stopped = () => {
    const model = new ClusterModel(FULL);
    for (const step of plan(model).slice(0, 6)) model.do(step);
    return model;
  };

  it('is there once somebody was held up, and until the promotion is begun', () => {
    expect(leadsBack({ entries: [entry('checkpoint')] })).toBe(false);
    expect(leadsBack({ entries: [entry('checkpoint'), entry('pause-pgbouncer front')] })).toBe(true);
    expect(leadsBack({ entries: [entry('stop-primary a'), entry('promote-standby')] })).toBe(false);
  });

  it('starts the old primary before clients go on', () => {
    const { start, resume } = planBringingBack(INTENT, stopped().facts());
    expect(start).toMatchObject({ kind: 'bring-back-primary', server: INTENT.from, on: 'a' });
    expect(resume).toMatchObject([{ kind: 'resume-pgbouncer', databases: ['app'] }]);
  });

  const back = (nodes: Parameters<typeof topologyOf>[0]) => () =>
    planBringingBack(INTENT, { ...stopped().facts(), topology: topologyOf(nodes, OURS) });
  const A: NodeFacts = { node: 'a', unreachable: 'refused', files: files({ hasStandbySignal: true }) };

  it('is open where the candidate is down, and would be a standby', () => {
    expect(back([A, { node: 'b', files: files({ hasStandbySignal: true }) }])).not.toThrow();
  });

  it('is closed where nobody knows what the candidate is, or somebody is a primary', () => {
    expect(back([A, { node: 'b', unreachable: 'no route' }])).toThrow('nobody knows what b is just now');
    expect(back([A, { node: 'b', files: files() }])).toThrow('nobody knows what b is just now');
    expect(back([A, primary('b', MIB)])).toThrow('b is a primary');
    expect(back([A, standby('b', { received: MIB, replayed: MIB }), primary('c', MIB)])).toThrow('c is a primary');
  });
});
