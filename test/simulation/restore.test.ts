import fc from 'fast-check';
import { describe, it } from 'vitest';
import { type Blow, strike, tellCalmly } from './restore-play.ts';
import { restoreScenario, type RestoreScenario, share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

const anyBlow: fc.Arbitrary<Blow> = fc.record({
  place: share,
  kind: fc.constantFrom('crash', 'machine crash', 'cancel'),
  moment: fc.constantFrom('before', 'during', 'after'),
  idleMs: fc.constantFrom(0, 300, 5_000),
});

async function play(scenario: RestoreScenario, blows: readonly Blow[]): Promise<void> {
  const calm = await tellCalmly(scenario);
  if (calm !== undefined) await strike(calm, blows, { checkTails: true });
}

/** What the end of an archive is nobody knows before replay has met it; there is nothing to pause at. */
const toTheEnd = restoreScenario.map((scenario): RestoreScenario => {
  return {
    ...scenario,
    target: { ...scenario.target, kind: 'latest' },
    tablespaces: 1 + (scenario.tablespaces % 2),
    unarchivedEvents: 0,
    faults: [],
  };
});

describe('a restore that is interrupted', () => {
  it('comes to the same end as one that was not, however often and wherever it dies', async () => {
    await fc.assert(fc.asyncProperty(restoreScenario, fc.array(anyBlow, { minLength: 1, maxLength: 3 }), play), simulation(1200));
  });

  it('begins again where it cannot be told any more how far replay had come', async () => {
    const lateBlow = anyBlow.map(
      (one): Blow => ({ ...one, place: 0.4 + one.place * 0.3, kind: one.kind === 'crash' ? 'machine crash' : one.kind }),
    );
    const blows = fc.tuple(lateBlow, anyBlow, anyBlow).map((all): Blow[] => all);
    await fc.assert(fc.asyncProperty(toTheEnd, blows, play), simulation(300));
  });
});
