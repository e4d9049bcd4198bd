import { expect } from 'vitest';
import fc from 'fast-check';
import { SpokeError } from '../../src/errors.ts';
import { parseSettings, readControl } from '../fakes/data-directory.ts';
import type { Disturbance } from '../fakes/process.ts';
import { watchReseed } from './reseed-invariants.ts';
import { attemptReseed } from './reseed-run.ts';
import {
  ENDPOINTS_FILE,
  type ReseedScenario,
  type ReseedStory,
  SLOT,
  STANDBY_DIRECTORY,
  STANDBY_PORT,
  STANDBY_START,
  tellReseed,
} from './reseed-scenario.ts';
import { share } from './restore-scenario.ts';

export interface Blow {
  /** A share of the points that an undisturbed run passes. */
  readonly place: number;
  /** `starts it`: somebody, or a service manager, starts the server of the standby where it does not run. */
  readonly kind: 'crash' | 'machine crash' | 'cancel' | 'starts it';
  readonly moment: Disturbance['moment'];
  /** What the primary does until somebody resumes. */
  readonly meanwhile: 'nothing' | 'commits' | 'loses the slot';
}

export const anyBlow: fc.Arbitrary<Blow> = fc.record({
  place: share,
  kind: fc.constantFrom('crash', 'machine crash', 'cancel', 'starts it'),
  moment: fc.constantFrom('before', 'during', 'after'),
  meanwhile: fc.constantFrom('nothing', 'commits', 'loses the slot'),
});

async function begin(scenario: ReseedScenario): Promise<ReseedStory | undefined> {
  const story = await tellReseed(scenario);
  if (story !== undefined) watchReseed(story, scenario);
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
    settings: ownSettings(fs.readFile(`${STANDBY_DIRECTORY}/postgresql.auto.conf`) ?? ''),
    slots: [...(world.origin()?.slots ?? [])],
    lost: [...world.lostSlots],
    area: fs.directory(intent.area.root) === undefined ? 'gone' : 'left',
    old: old.some((one) => one !== false && one !== undefined) ? 'kept' : 'gone',
    published: fs.readFile(ENDPOINTS_FILE),
    passfile: intent.passfile === null ? undefined : fs.readFile(intent.passfile.path),
  };
}

/** What makes it a standby; pg_rewind and pg_basebackup bring other settings of the primary, where they have anything to do. */
function ownSettings(autoConf: string) {
  const { work_mem: _ofThePrimary, ...own } = parseSettings(autoConf);
  return own;
}

function doMeanwhile({ world }: ReseedStory, { meanwhile }: Blow): void {
  const isRead = [...world.servers].some(({ source }) => source !== undefined);
  if (meanwhile === 'commits') world.history.commit();
  if (meanwhile === 'loses the slot' && !isRead && world.origin()?.slots.has(SLOT) === true) world.lostSlots.add(SLOT);
  world.advance(300);
}

/** Told once in peace, and once with each blow in its turn: both come to the same end. */
export async function playReseed(scenario: ReseedScenario, blows: readonly Blow[]): Promise<void> {
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
    const point = 1 + Math.floor(blow.place * attempt.process.points);
    const { strayPlans, process } = await attemptReseed(story, new Map([[point, disturbanceOf(story, blow)]]));
    // What somebody else starts no plan can know of.
    if (blow.kind !== 'starts it') expect(strayPlans).toEqual([]);
    expect(story.world.violations, `${blow.kind} ${blow.moment} ${process.passed.at(-1)}`).toEqual([]);
    doMeanwhile(story, blow);
  }
  stopSecondPrimary(story);
  const last = await attemptReseed(story);
  expect(last.end.kind === 'failed' ? last.end.error.message : last.end.kind).toBe('done');
  expect(last.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  expect(endOf(story)).toEqual(endOf(calm));
}

function disturbanceOf({ world }: ReseedStory, { kind, moment }: Blow): Disturbance {
  if (kind !== 'starts it') return { kind, moment };
  return { kind: 'act', moment, act: () => startIfPossible(() => world.startServer(STANDBY_START).tick()) };
}

function startIfPossible(start: () => void): void {
  try {
    start();
  } catch (thrown) {
    if (!(thrown instanceof SpokeError)) throw thrown;
  }
}

/** As the hint of the refusal says, where somebody has started the old primary as one. */
function stopSecondPrimary({ world }: ReseedStory): void {
  for (const server of [...world.servers]) if (server.isWritable && !server.isOrigin) server.stop('fast');
}
