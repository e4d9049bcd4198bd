import { expect } from 'vitest';
import { restoreResult } from '../../src/cli/render/restore.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { readContent } from '../fakes/data-directory.ts';
import { fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { watchRestore } from './invariants.ts';
import { canBeReached, expectedRange } from './restore-oracle.ts';
import { type Attempt, attemptRestore, headerOf } from './restore-run.ts';
import {
  comesBackAtBoot,
  describeDirectory,
  describeOld,
  type RestoreScenario,
  type RestoreStory,
  tellRestore,
} from './restore-scenario.ts';

/** Where and how an attempt is disturbed; the place is a share of the points that an undisturbed run passes. */
export interface Blow {
  readonly place: number;
  readonly kind: 'crash' | 'machine crash' | 'cancel';
  readonly moment: Disturbance['moment'];
  /** How long it takes until somebody resumes. */
  readonly idleMs: number;
}

/** A restore that nobody interrupted. */
export interface Calm {
  readonly scenario: RestoreScenario;
  readonly story: RestoreStory;
  readonly attempt: Attempt;
}

/** Tells a story without any disturbance; it comes to its target wherever that can be reached. Undefined where the restore is refused. */
export async function tellCalmly(scenario: RestoreScenario): Promise<Calm | undefined> {
  const story = await begin(scenario);
  if (story === undefined) return undefined;
  const attempt = await attemptRestore(story, { checkTails: true });
  expect(attempt.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  const { end } = attempt;
  if (canBeReached(story)) expect(end.kind === 'failed' ? end.error.message : end.kind).toBe('done');
  return { scenario, story, attempt };
}

/** Tells it once more, strikes each blow in its turn, resumes after each, and compares both ends. */
export async function strike(calm: Calm, blows: readonly Blow[], options: { readonly checkTails: boolean }): Promise<void> {
  const { scenario } = calm;
  const story = await begin(scenario);
  if (story === undefined) throw new Error('the same scenario was refused the second time');
  // A primary that does not come back would have to be started by hand before anything can go on.
  const strands = scenario.primary === 'running' && !comesBackAtBoot(scenario);
  for (const { place, moment, idleMs, ...blow } of blows) {
    const kind = blow.kind === 'machine crash' && strands ? 'crash' : blow.kind;
    const disturbances = new Map([[1 + Math.floor(place * calm.attempt.process.points), { kind, moment }]]);
    const attempt = await attemptRestore(story, { disturbances, ...options });
    expect(attempt.strayPlans).toEqual([]);
    expect(story.world.violations, `blow ${kind} ${moment} ${attempt.process.passed.at(-1)}`).toEqual([]);
    story.world.advance(idleMs);
  }
  const last = await attemptRestore(story, options);
  expect(last.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  expect(await endOf(story, last)).toEqual(await endOf(calm.story, calm.attempt));
  if (last.end.kind === 'done') await expectTarget(story);
  else expectUntouched(story);
}

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

async function expectTarget(story: RestoreStory): Promise<void> {
  const { from, before } = expectedRange(story, (await resultOf(story)).backup);
  const directory = story.world.fs.directory(story.intent.dataDirectory);
  const content = directory === undefined ? undefined : readContent(directory);
  expect(content).toBeDefined();
  if (content === undefined) return;
  const lsn = parseLsn(content.lsn);
  expect(lsn >= from && lsn < before, `restored up to ${content.lsn}`).toBe(true);
}

function expectUntouched(story: RestoreStory): void {
  const { fs } = story.world;
  expect(fs.directory(story.intent.dataDirectory)?.identity ?? null).toBe(story.intent.destinationIdentity);
}
