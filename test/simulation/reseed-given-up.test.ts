import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cancelRun } from '../../src/engine/cancel-run.ts';
import { reseedWorkflow } from '../../src/engine/reseed-workflow.ts';
import { asSpokeError } from '../../src/errors.ts';
import { isComplete } from '../fakes/data-directory.ts';
import { fakePorts, fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { watchReseed } from './reseed-invariants.ts';
import { attemptReseed, RESEED_RUN } from './reseed-run.ts';
import {
  ENDPOINTS_FILE,
  rejoinScenario,
  reseedScenario,
  type ReseedScenario,
  type ReseedStory,
  STANDBY_DIRECTORY,
  STANDBY_PORT,
  tellReseed,
} from './reseed-scenario.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

/** Gives the run up as `runs cancel` does; undefined where that went through. */
async function giveUp({ world, cluster }: ReseedStory, disturbances: ReadonlyMap<number, Disturbance> = new Map()) {
  const process = new FakeProcess(world, { disturbances });
  const ports = fakePorts(process, cluster);
  const run = await fakeReadPorts(new FakeProcess(world), cluster).runs.read(RESEED_RUN);
  try {
    await cancelRun(run, reseedWorkflow(cluster, ports), { ports, emit: () => undefined, signal: process.signal, pid: process.pid });
    return { process };
  } catch (thrown) {
    return { process, error: process.isAlive ? asSpokeError(thrown) : undefined };
  }
}

/** How the standby is, as far as giving up must bring it back. */
function standbyOf({ world, intent }: ReseedStory) {
  const directory = world.fs.directory(STANDBY_DIRECTORY);
  return {
    identity: directory?.identity,
    isComplete: directory !== undefined && isComplete(world.fs, directory),
    runs: directory !== undefined && world.serverOn(directory.identity) !== undefined,
    left: [intent.area.root, intent.oldDataDirectory ?? intent.area.root].filter((path) => world.fs.directory(path) !== undefined),
  };
}

interface Blow {
  readonly place: number;
  readonly moment: Disturbance['moment'];
}

async function play(scenario: ReseedScenario, blow: Blow, whileGivingUp: Blow): Promise<void> {
  const [calm, story] = [await tellReseed(scenario), await tellReseed(scenario)];
  if (calm === undefined || story === undefined) return;
  const before = standbyOf(story);
  const { points } = (await attemptReseed(calm)).process;
  watchReseed(story, scenario);
  const { process } = await attemptReseed(story, new Map([[1 + Math.floor(blow.place * points), { kind: 'crash', moment: blow.moment }]]));
  // Before it is written down there is no run, and one that was through cannot be given up.
  if (!story.world.runs.has(RESEED_RUN) || process.isAlive) return;
  const first = new Map([[1 + Math.floor(whileGivingUp.place * 12), { kind: 'crash', moment: whileGivingUp.moment } as const]]);
  const begun = await giveUp(story, first);
  // Nobody gives up twice what was given up already.
  const { error } = begun.process.isAlive ? begun : await giveUp(story);
  const when = `${blow.moment} ${process.passed.at(-1)}, then ${whileGivingUp.moment} ${begun.process.passed.at(-1)}`;
  expect(story.world.violations, when).toEqual([]);
  if (error !== undefined) {
    if (error.message.includes('has ended already')) return;
    expect(error.code, `${when}: ${error.message}`).toBe('REFUSED_PRECONDITION');
    expect(error.hint).toContain(`runs resume ${RESEED_RUN}`);
    expect((await attemptReseed(story)).end.kind, when).toBe('done');
    return;
  }
  expect(standbyOf(story), when).toEqual({ ...before, left: [] });
  if (scenario.hasEndpoints && before.runs)
    expect(story.world.fs.readFile(ENDPOINTS_FILE)).toMatch(new RegExp(`:${STANDBY_PORT}|somebody wrote`));
  const slots = [...(story.world.origin()?.slots ?? [])];
  if (!before.runs && scenario.slot !== 'good')
    expect(slots, when).toEqual(scenario.slot === 'lost' && story.world.lostSlots.size > 0 ? slots : []);
}

describe('a reseed that is given up half-way', () => {
  it('has the old standby back as it was, or refuses and can be finished', async () => {
    const anyBlow = fc.record({ place: share, moment: fc.constantFrom<Disturbance['moment']>('before', 'during', 'after') });
    await fc.assert(fc.asyncProperty(fc.oneof(reseedScenario, rejoinScenario), anyBlow, anyBlow, play), simulation(500));
  });
});
