import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Disturbance } from '../fakes/process.ts';
import { readControl } from '../fakes/data-directory.ts';
import { watchReseed } from './reseed-invariants.ts';
import { attemptReseed } from './reseed-run.ts';
import {
  ENDPOINTS_FILE,
  reseedScenario,
  type ReseedScenario,
  type ReseedStory,
  SLOT,
  STANDBY_DIRECTORY,
  STANDBY_PORT,
  tellReseed,
} from './reseed-scenario.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

interface Blow {
  /** A share of the points that an undisturbed run passes. */
  readonly place: number;
  readonly kind: 'crash' | 'machine crash' | 'cancel';
  readonly moment: Disturbance['moment'];
  /** What the primary does until somebody resumes. */
  readonly meanwhile: 'nothing' | 'commits' | 'loses the slot';
}

const anyBlow: fc.Arbitrary<Blow> = fc.record({
  place: share,
  kind: fc.constantFrom('crash', 'machine crash', 'cancel'),
  moment: fc.constantFrom('before', 'during', 'after'),
  meanwhile: fc.constantFrom('nothing', 'commits', 'loses the slot'),
});

async function begin(scenario: ReseedScenario): Promise<ReseedStory | undefined> {
  const story = await tellReseed(scenario);
  if (story !== undefined) watchReseed(story);
  return story;
}

/** What a run has come to, as far as it must not depend on how often it was interrupted. */
function endOf({ world, intent }: ReseedStory) {
  const { fs } = world;
  const directory = fs.directory(STANDBY_DIRECTORY);
  const server = directory === undefined ? undefined : world.serverOn(directory.identity);
  const old = [intent.oldDataDirectory, intent.instead?.oldDataDirectory].map((path) => typeof path === 'string' && fs.directory(path));
  return {
    streams: server?.source === world.origin() && server?.source !== undefined,
    state: directory === undefined ? undefined : readControl(directory)?.timeline,
    standbySignal: fs.readFile(`${STANDBY_DIRECTORY}/standby.signal`),
    autoConf: fs.readFile(`${STANDBY_DIRECTORY}/postgresql.auto.conf`),
    slots: [...(world.origin()?.slots ?? [])],
    lost: [...world.lostSlots],
    area: fs.directory(intent.area.root) === undefined ? 'gone' : 'left',
    old: old.some((one) => one !== false && one !== undefined) ? 'kept' : 'gone',
    published: fs.readFile(ENDPOINTS_FILE),
    passfile: intent.passfile === null ? undefined : fs.readFile(intent.passfile.path),
  };
}

function doMeanwhile({ world }: ReseedStory, { meanwhile }: Blow): void {
  const isRead = [...world.servers].some(({ source }) => source !== undefined);
  if (meanwhile === 'commits') world.history.commit();
  if (meanwhile === 'loses the slot' && !isRead && world.origin()?.slots.has(SLOT) === true) world.lostSlots.add(SLOT);
  world.advance(300);
}

async function play(scenario: ReseedScenario, blows: readonly Blow[]): Promise<void> {
  const calm = await begin(scenario);
  const story = await begin(scenario);
  if (calm === undefined || story === undefined) return;
  const attempt = await attemptReseed(calm);
  expect(attempt.end.kind === 'failed' ? attempt.end.error.message : attempt.end.kind).toBe('done');
  expect(attempt.strayPlans).toEqual([]);
  expect(calm.world.violations).toEqual([]);
  expect(endOf(calm)).toMatchObject({ streams: true, slots: [SLOT], lost: [], area: 'gone', standbySignal: '' });
  if (scenario.hasEndpoints) expect(endOf(calm).published).toContain(`:${STANDBY_PORT}`);
  for (const blow of blows) {
    const { place, kind, moment } = blow;
    const { strayPlans, process } = await attemptReseed(
      story,
      new Map([[1 + Math.floor(place * attempt.process.points), { kind, moment }]]),
    );
    expect(strayPlans).toEqual([]);
    expect(story.world.violations, `${kind} ${moment} ${process.passed.at(-1)}`).toEqual([]);
    doMeanwhile(story, blow);
  }
  const last = await attemptReseed(story);
  expect(last.end.kind === 'failed' ? last.end.error.message : last.end.kind).toBe('done');
  expect(last.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  expect(endOf(story)).toEqual(endOf(calm));
}

describe('a reseed that is interrupted', () => {
  it('comes to the same end as one that was not, however often and wherever it dies', async () => {
    await fc.assert(fc.asyncProperty(reseedScenario, fc.array(anyBlow, { maxLength: 3 }), play), simulation(600));
  });

  it.each(['rewind', 'delta', 'backup', 'basebackup'] as const)('is told of by stories with each method: %s', async (method) => {
    const scenario = { standby: 'stopped', slot: 'lost', service: 'pg_ctl', keepOld: true, hasEndpoints: true, hasPassword: true } as const;
    expect((await tellReseed({ ...scenario, method }))?.intent.method).toBe(method);
  });
});
