import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attemptRestore } from './restore-run.ts';
import { watchRestore } from './invariants.ts';
import { restoreScenario, tellRestore } from './restore-scenario.ts';

describe('a restore', () => {
  it('undisturbed', async () => {
    const ends: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(restoreScenario, async (scenario) => {
        const story = await tellRestore(scenario);
        if (story === undefined) {
          ends['refused'] = (ends['refused'] ?? 0) + 1;
          return;
        }
        watchRestore(story.world, story.intent);
        const attempt = await attemptRestore(story, { checkTails: true });
        const end = attempt.end.kind === 'failed' ? `${attempt.end.error.code} ${attempt.end.error.message.replaceAll(/\d+/g, 'N')}` : attempt.end.kind;
        ends[end] = (ends[end] ?? 0) + 1;
        expect(story.world.violations).toEqual([]);
        expect(attempt.strayPlans).toEqual([]);
      }),
      { numRuns: 300 },
    );
    console.log(ends);
  });
});
