import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Interference, INTERFERENCES, interfere } from './interference.ts';
import { attemptRestore } from './restore-run.ts';
import { restoreScenario, type RestoreScenario, share, tellRestore } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

/** The last three where the primary that was to close its segment is not that of the archive any more, or gone. */
const REFUSALS = [
  'PLAN_STALE',
  'REFUSED_SERVER_RUNNING',
  'REFUSED_UNSAFE_DIRECTORY',
  'TIMED_OUT',
  'POSTGRES_UNAVAILABLE',
  'REPOSITORY_UNAVAILABLE',
];

/** Where the restored data takes its place: from here on the destination is the run's own. */
function commitPoint(passed: readonly string[], dataDirectory: string): number {
  return passed.findIndex((point) => point.startsWith('rename ') && point.endsWith(` to ${dataDirectory}`)) + 1;
}

async function play(scenario: RestoreScenario, what: Interference, place: number) {
  const calm = await tellRestore(scenario, { reusesInodes: false });
  const story = await tellRestore(scenario, { reusesInodes: false });
  if (calm === undefined || story === undefined) return;
  const { passed } = (await attemptRestore(calm)).process;
  const committed = commitPoint(passed, story.intent.dataDirectory);
  if (committed === 0) return;

  let touched: (() => readonly string[]) | undefined;
  const act = () => {
    touched = interfere(story, what);
  };
  const point = 1 + Math.floor(place * committed);
  // The stop goes by the path: nothing comes between it and the last look.
  if (/^stop (server|service)/.test(passed[point - 1] ?? '')) return;
  const { end } = await attemptRestore(story, { disturbances: new Map([[point, { kind: 'act', moment: 'before', act }]]) });
  if (touched === undefined) return;
  const when = `${what} at ${passed[point - 1]}`;
  expect(touched(), when).toEqual([]);
  // Where nothing is left in the last moment, the last rename finds nothing in its way.
  if (what === 'moves it away' && point === committed) return;
  expect(end.kind, when).toBe('failed');
  // With what was changed there may also go the WAL that was to be salvaged, and with it the way to the target.
  if (end.kind === 'failed' && story.intent.salvageFrom === null)
    expect(REFUSALS, `${when}: ${end.error.message}`).toContain(end.error.code);
}

describe('a restore whose destination somebody else changes meanwhile', () => {
  it('refuses to go on and touches nothing of theirs', async () => {
    await fc.assert(fc.asyncProperty(restoreScenario, fc.constantFrom(...INTERFERENCES), share, play), simulation(800));
  });
});
