import { describe, expect, it } from 'vitest';
import { KINDS_FOR_HOSTS, parseStep } from '../../../src/agent/step-shapes.ts';
import { decodeMessage, encodeMessage } from '../../../src/domain/hosts/protocol.ts';
import type { Step } from '../../../src/plan/step.ts';
import { planReseed } from '../../../src/workflows/reseed/plan.ts';
import { discardStep } from '../../../src/workflows/reseed/steps.ts';
import { intentFor, untouched } from '../workflows/reseed-intent.ts';

/** Undefined properties are left out on the way, and mean the same. */
const sent = (step: Step) => decodeMessage(encodeMessage({ id: 1, result: step }))?.['result'] as Record<string, unknown>;

describe('a step of a reseed on its way to the host of the standby', () => {
  it.each(['rewind', 'delta', 'backup', 'basebackup'] as const)('arrives as it was: %s', (method) => {
    const intent = intentFor(method);
    const steps = [...planReseed(intent, untouched(), 'run').steps, discardStep(intent)].filter(({ on }) => on !== undefined);
    expect(steps.length).toBeGreaterThan(6);
    for (const step of steps) {
      expect(KINDS_FOR_HOSTS.has(step.kind), step.kind).toBe(true);
      expect(parseStep(sent(step))).toEqual(sent(step));
      expect(() => parseStep({ ...sent(step), more: 1 }), step.id).toThrow(/is refused/);
    }
  });

  it('is refused where what was confirmed is missing, or leads elsewhere', () => {
    const { steps } = planReseed(intentFor('rewind'), untouched(), 'run');
    const rewind = steps.find(({ kind }) => kind === 'rewind-standby');
    if (rewind === undefined) throw new Error('no rewind is planned');
    const { standby, ...without } = sent(rewind);
    expect(() => parseStep(without)).toThrow(/is refused/);
    expect(() => parseStep({ ...without, standby: { ...(standby as object), dataDirectory: '/srv/../etc' } })).toThrow(/is refused/);
  });
});
