import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { restoreResult } from '../../src/cli/render/restore.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { readContent } from '../fakes/data-directory.ts';
import { fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { watchRestore } from './invariants.ts';
import { type Attempt, attemptRestore, headerOf } from './restore-run.ts';
import {
  comesBackAtBoot,
  describeDirectory,
  describeOld,
  expectedRange,
  hasSoundCandidate,
  restoreScenario,
  type RestoreScenario,
  share,
  type RestoreStory,
  tellRestore,
} from './restore-scenario.ts';
import { simulation } from './seeds.ts';

/** Where and how an attempt is disturbed; the place is a share of the points that an undisturbed run passes. */
interface Blow {
  readonly place: number;
  readonly kind: 'crash' | 'machine crash' | 'cancel';
  readonly moment: Disturbance['moment'];
  /** How long it takes until somebody resumes. */
  readonly idleMs: number;
}

const anyBlow: fc.Arbitrary<Blow> = fc.record({
  place: share,
  kind: fc.constantFrom('crash', 'machine crash', 'cancel'),
  moment: fc.constantFrom('before', 'during', 'after'),
  idleMs: fc.constantFrom(0, 300, 5_000),
});

async function begin(scenario: RestoreScenario): Promise<RestoreStory | undefined> {
  const story = await tellRestore(scenario);
  if (story !== undefined) watchRestore(story.world, story.intent);
  return story;
}

async function resultOf(story: RestoreStory) {
  const ports = fakeReadPorts(new FakeProcess(story.world), story.cluster);
  const restored = await ports.instance.inspectDirectory(story.intent.dataDirectory, { signal: new AbortController().signal });
  return restoreResult(story.intent, await ports.runs.read(headerOf(story.intent).runId), restored);
}

/** What a run has come to, as far as it must not depend on how often it was interrupted. */
async function endOf(story: RestoreStory, { end }: Attempt) {
  const { world, intent } = story;
  const { dataDirectory, oldDataDirectory, area } = intent;
  const servers = [...world.servers].map((server) => [world.fs.pathOf(server.directory.identity), server.phase, server.archives]);
  // Of several backups that lead nowhere, each for its own reason, the one that was tried last gives the error.
  if (end.kind !== 'done') return { servers: servers.map(String).sort((a, b) => (a < b ? -1 : 1)), end: end.kind };
  const { reached, evidence, timeline, backup } = await resultOf(story);
  return {
    servers: servers.map(String).sort((a, b) => (a < b ? -1 : 1)),
    destination: describeDirectory(story, dataDirectory),
    end: end.kind,
    old: describeOld(story, oldDataDirectory),
    left: [area.root, area.socketDirectory].filter((path) => world.fs.directory(path) !== undefined),
    tablespaces: intent.tablespaceMap.map(({ location }) => world.fs.list(location)),
    // When a commit was replayed last is not known to a server that was restarted after it.
    result:
      story.target.kind === 'latest' ? { timeline, backup } : { reached: { ...reached, time: undefined }, evidence, timeline, backup },
  };
}

function expectTarget(story: RestoreStory): void {
  const range = expectedRange(story);
  const directory = story.world.fs.directory(story.intent.dataDirectory);
  const content = directory === undefined ? undefined : readContent(directory);
  expect(content).toBeDefined();
  if (range === undefined || content === undefined) return;
  const lsn = parseLsn(content.lsn);
  expect(lsn >= range.from && lsn < range.before, `restored up to ${content.lsn}`).toBe(true);
}

function expectUntouched(story: RestoreStory): void {
  const { fs } = story.world;
  expect(fs.directory(story.intent.dataDirectory)?.identity ?? null).toBe(story.intent.destinationIdentity);
}

async function play(scenario: RestoreScenario, blows: readonly Blow[]) {
  const calm = await begin(scenario);
  const story = await begin(scenario);
  if (calm === undefined || story === undefined) return;
  const undisturbed = await attemptRestore(calm, { checkTails: true });
  expect(undisturbed.strayPlans).toEqual([]);
  expect(calm.world.violations).toEqual([]);
  if (hasSoundCandidate(calm)) expect(undisturbed.end.kind).toBe('done');
  const { points } = undisturbed.process;
  // A primary that does not come back would have to be started by hand before anything can go on.
  const strands = scenario.primary === 'running' && !comesBackAtBoot(scenario);
  for (const { place, moment, idleMs, ...blow } of blows) {
    const kind = blow.kind === 'machine crash' && strands ? 'crash' : blow.kind;
    const disturbances = new Map([[1 + Math.floor(place * points), { kind, moment }]]);
    const attempt = await attemptRestore(story, { disturbances, checkTails: true });
    expect(attempt.strayPlans).toEqual([]);
    expect(story.world.violations, `blow ${kind} ${moment} ${attempt.process.passed.at(-1)}`).toEqual([]);
    story.world.advance(idleMs);
  }
  const last = await attemptRestore(story, { checkTails: true });
  expect(last.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  expect(await endOf(story, last)).toEqual(await endOf(calm, undisturbed));
  if (last.end.kind === 'done') expectTarget(story);
  else expectUntouched(story);
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
