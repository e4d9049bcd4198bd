import { describe, expect, it } from 'vitest';
import { KINDS_FOR_HOSTS, parseStep } from '../../../src/agent/step-shapes.ts';
import { decodeMessage, encodeMessage } from '../../../src/domain/hosts/protocol.ts';
import type { Step } from '../../../src/plan/step.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { observeRestore } from '../../../src/workflows/restore/facts.ts';
import { planRestore } from '../../../src/workflows/restore/plan.ts';
import { discardAreaStep, endIsolatedStep } from '../../../src/workflows/restore/steps.ts';
import type { RestoreRequest } from '../../../src/workflows/restore/request.ts';
import { NODE } from '../../fakes/cluster.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { header } from '../engine/machinery.ts';
import { sound } from '../workflows/restore-world.ts';

async function stepsOf(changes: Partial<RestoreRequest>, primary: 'running' | 'crashed' = 'running'): Promise<readonly Step[]> {
  const spec = { primary, tablespaces: 1, archiverFailsFrom: 12 } as const;
  const { world, cluster, request, observed } = await sound(
    { destination: { kind: 'in-place', node: NODE }, discardOld: true, ...changes },
    spec,
  );
  const intent = decideRestore(request, observed);
  const ports = readOnlyPorts(new FakeProcess(world), cluster);
  const facts = await observeRestore(intent, { header: header(), entries: [] }, ports, { signal: new AbortController().signal });
  return [...planRestore(intent, facts, 'run').steps, discardAreaStep(intent), endIsolatedStep(intent)];
}

/** Undefined properties are left out on the way, and mean the same. */
const sent = (step: Step) => decodeMessage(encodeMessage({ id: 1, result: step }))?.['result'];

describe('a step on its way to another host', () => {
  it.each([
    ['to the end', {}, 'running'],
    ['to an LSN', { target: { kind: 'immediate' }, targetAction: 'pause' }, 'running'],
    ['of a server that is down, with its WAL', {}, 'crashed'],
  ] as const)('arrives as it was: a restore %s', async (_what, changes, primary) => {
    const steps = await stepsOf(changes, primary);
    for (const step of steps) {
      expect(step.on, step.id).toBe(NODE);
      expect(KINDS_FOR_HOSTS.has(step.kind), step.kind).toBe(true);
      expect(parseStep(sent(step))).toEqual(sent(step));
    }
  });

  it('is refused with anything missing, more than it has, or of a kind that is not done for others', async () => {
    const steps = await stepsOf({});
    for (const step of steps) {
      for (const property of Object.keys(step).filter((one) => one !== 'on')) {
        if (Reflect.get(step, property) === undefined) continue;
        const { [property]: _left, ...rest } = sent(step) as Record<string, unknown>;
        const isOptional = ['oldDataDirectory', 'destinationIdentity', 'leastLsn', 'identity', 'node'].includes(property);
        if (!isOptional) expect(() => parseStep(rest), `${step.id} without ${property}`).toThrow(/is refused/);
      }
      expect(() => parseStep({ ...(sent(step) as object), more: 1 }), step.id).toThrow(/is refused/);
    }
    expect(() => parseStep({ ...(sent(steps[0] as Step) as object), kind: 'alter-system' })).toThrow(/no step of that kind/);
    for (const nothing of [undefined, null, 7, 'x', [], {}]) expect(() => parseStep(nothing)).toThrow(/is refused/);
  });

  it('is refused with a path that leads elsewhere', async () => {
    const discard = (await stepsOf({})).find(({ kind }) => kind === 'discard-old') as Step;
    for (const oldDataDirectory of ['relative', '/srv/../etc', '/srv/..', '/a\0b', '/a\nb', ''])
      expect(() => parseStep({ ...(sent(discard) as object), oldDataDirectory })).toThrow(/is refused/);
  });
});
