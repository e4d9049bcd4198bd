import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Disturbance } from '../fakes/process.ts';
import { anyPlace, beginWithCluster, expectAsBefore, giveUp, type Place, pointAt, serversOf } from './restore-cluster-play.ts';
import { type ClusterScenario, clusterScenario, tellRestoreOfCluster } from './restore-cluster-scenario.ts';
import { attemptRestore, RUN_ID } from './restore-run.ts';
import { simulation } from './seeds.ts';

interface Blow {
  readonly place: Place;
  readonly moment: Disturbance['moment'];
}

const anyBlow: fc.Arbitrary<Blow> = fc.record({ place: anyPlace, moment: fc.constantFrom('before', 'during', 'after') });

/** So much is done at most while a run is given up. */
const POINTS_OF_GIVING_UP = 12;

async function play(scenario: ClusterScenario, blow: Blow, whileGivingUp: Blow): Promise<void> {
  const [calm, story] = [await tellRestoreOfCluster(scenario), await beginWithCluster(scenario)];
  if (calm === undefined || story === undefined) return;
  const before = serversOf(story);
  const { passed } = (await attemptRestore(calm)).process;
  const { process } = await attemptRestore(story, {
    disturbances: new Map([[pointAt(passed, blow.place), { kind: 'crash', moment: blow.moment }]]),
  });
  if (!story.world.runs.has(RUN_ID) || process.isAlive) return;
  const point = 1 + Math.floor(whileGivingUp.place.share * POINTS_OF_GIVING_UP);
  const begun = await giveUp(story, new Map([[point, { kind: 'crash', moment: whileGivingUp.moment }]]));
  const { error } = begun.process.isAlive ? begun : await giveUp(story);
  const when = `${blow.moment} ${process.passed.at(-1)}, then ${whileGivingUp.moment} ${begun.process.passed.at(-1)}`;
  expect(story.world.violations, when).toEqual([]);
  if (error === undefined) {
    expectAsBefore(story);
    expect(serversOf(story), when).toEqual(before);
    expect(story.world.fs.directory(story.intent.area.root), when).toBeUndefined();
    return;
  }
  if (error.message.includes('has ended already')) return;
  expect(error.code, `${when}: ${error.message}`).toBe('REFUSED_PRECONDITION');
  expect(error.hint).toContain(`runs resume ${RUN_ID}`);
}

describe('the restore of a cluster that is given up half-way', () => {
  it('has everybody serve as before, or refuses and can be finished', async () => {
    await fc.assert(fc.asyncProperty(clusterScenario, anyBlow, anyBlow, play), simulation(200));
  });
});
