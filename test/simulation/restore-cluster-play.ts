import fc from 'fast-check';
import { expect } from 'vitest';
import { cancelRun } from '../../src/engine/cancel-run.ts';
import { workflowOfRestore } from '../../src/engine/restore-cluster-workflow.ts';
import { asSpokeError, SpokeError } from '../../src/errors.ts';
import type { ServerStart } from '../../src/ports/instance.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { DATA_DIRECTORY } from '../fakes/cluster.ts';
import { readContent } from '../fakes/data-directory.ts';
import { fakePorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { describeStandby, watchRestoreOfCluster } from './restore-cluster-invariants.ts';
import { type ClusterScenario, type ClusterStory, ENDPOINTS_FILE, PRIMARY_PORT, tellRestoreOfCluster } from './restore-cluster-scenario.ts';
import { canBeReached, expectedRange, type Range } from './restore-oracle.ts';
import { type Attempt, attemptRestore, RUN_ID } from './restore-run.ts';
import { describeOld, share } from './restore-scenario.ts';

/** A point of a run, by the points that an undisturbed one passes: a share of all, or of those at which nobody can write. */
export interface Place {
  readonly share: number;
  readonly among: 'all' | 'the outage';
}

export const anyPlace: fc.Arbitrary<Place> = fc.record({ share, among: fc.constantFrom('all', 'the outage') });

/** Points before and after the outage that count to it, too. */
const AROUND = 4;

export function pointAt(passed: readonly string[], { share: part, among }: Place): number {
  const begin = passed.findIndex((name) => name === 'pause PgBouncer' || name.startsWith('stop server'));
  const end = passed.findLastIndex((name) => name.startsWith(`rename `) && name.endsWith(` to ${DATA_DIRECTORY}`));
  const isWhole = among === 'all' || begin < 0 || end < begin;
  const [from, count] = isWhole ? [0, passed.length] : [Math.max(0, begin - AROUND), end - begin + 2 * AROUND];
  return 1 + from + Math.floor(part * count);
}

export interface ClusterBlow {
  readonly place: Place;
  /** `starts everything`: somebody, or a service manager, starts each server that does not run. */
  readonly kind: 'crash' | 'machine crash' | 'cancel' | 'starts everything';
  readonly moment: Disturbance['moment'];
}

/** A restore of a cluster that nobody interrupted. */
export interface CalmCluster {
  readonly scenario: ClusterScenario;
  readonly story: ClusterStory;
  readonly attempt: Attempt;
}

export async function beginWithCluster(scenario: ClusterScenario, options = { reusesInodes: true }): Promise<ClusterStory | undefined> {
  const story = await tellRestoreOfCluster(scenario, options);
  if (story !== undefined) watchRestoreOfCluster(story);
  return story;
}

/** Undefined where the restore is refused, or no standby goes along. */
export async function tellClusterCalmly(scenario: ClusterScenario): Promise<CalmCluster | undefined> {
  const story = await beginWithCluster(scenario);
  if (story === undefined) return undefined;
  const isReachable = canBeReached(story);
  const ranges = rangesOf(story);
  const attempt = await attemptMending(story);
  expect(attempt.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  if (isReachable) expect(messageOf(attempt)).toBe('done');
  endOf(story);
  if (attempt.end.kind === 'done') expectWhole(story, ranges);
  return { scenario, story, attempt };
}

/** Tells it once more with each blow in its turn, resumes after each, and compares both ends. */
export async function strikeCluster(calm: CalmCluster, blows: readonly ClusterBlow[]): Promise<void> {
  const story = await beginWithCluster(calm.scenario);
  if (story === undefined) throw new Error('the same scenario was refused the second time');
  const ranges = rangesOf(story);
  for (const blow of blows) {
    const point = pointAt(calm.attempt.process.passed, blow.place);
    const disturbances = new Map([[point, disturbanceOf(story, blow)]]);
    const { strayPlans, process } = await attemptRestore(story, { disturbances, checkTails: true });
    if (blow.kind !== 'starts everything') expect(strayPlans).toEqual([]);
    expect(story.world.violations, `${blow.kind} ${blow.moment} ${process.passed[point - 1]}`).toEqual([]);
    comeBack(story);
  }
  const last = await attemptMending(story);
  expect(last.strayPlans).toEqual([]);
  expect(story.world.violations).toEqual([]);
  if (calm.attempt.end.kind === 'done') {
    expect(messageOf(last)).toBe('done');
    expect(endOf(story)).toEqual(endOf(calm.story));
    expectWhole(story, ranges);
  } else if (last.end.kind !== 'done') expectAsBefore(story);
  // A primary that somebody starts writes what was missing to come to the target.
  else expect(blows.map(({ kind }) => kind)).toContain('starts everything');
}

/** The old data is in its place, and where its server runs clients reach it. */
export function expectAsBefore({ world, intent, bouncer }: ClusterStory): void {
  expect(world.fs.directory(intent.dataDirectory)?.identity).toBe(intent.destinationIdentity);
  if (world.origin() !== undefined && bouncer !== undefined) expect(bouncer.portOf('app')).toBe(PRIMARY_PORT);
}

/** Where a repository has nothing good for a standby, it is mended and the run goes on: the primary serves already. */
async function attemptMending(story: ClusterStory): Promise<Attempt> {
  const attempt = await attemptRestore(story, { checkTails: true });
  const { world, intent } = story;
  if (attempt.end.kind !== 'failed' || world.originIdentity === intent.destinationIdentity) return attempt;
  for (const repository of world.repositories) {
    repository.state = 'up';
    repository.damagedBackups.clear();
    repository.damagedSegments.clear();
  }
  const { end, process, strayPlans } = await attemptRestore(story, { checkTails: true });
  return { ...attempt, end, process, strayPlans: [...attempt.strayPlans, ...strayPlans] };
}

function messageOf({ end }: Attempt): string {
  return end.kind === 'failed' ? end.error.message : end.kind;
}

function disturbanceOf(story: ClusterStory, { kind, moment }: ClusterBlow): Disturbance {
  return kind === 'starts everything' ? { kind: 'act', moment, act: () => startEverything(story) } : { kind, moment };
}

function startEverything({ world, standbys }: ClusterStory): void {
  const primary = world.services.find(({ start }) => start.dataDirectory === DATA_DIRECTORY);
  for (const start of [...(primary === undefined ? [] : [primary.start]), ...standbys])
    startIfPossible(() => world.startServer(start).tick());
  world.onChange();
}

function startIfPossible(start: () => void): void {
  try {
    start();
  } catch (thrown) {
    if (!(thrown instanceof SpokeError)) throw thrown;
  }
}

/** Who puts the machine right starts the restored primary, where it is in its place and nothing does that at boot. */
function comeBack({ world, intent }: ClusterStory): void {
  const isRestored = world.fs.directory(intent.dataDirectory)?.identity === world.originIdentity;
  const service = world.services.find(({ start }) => start.dataDirectory === DATA_DIRECTORY);
  const start: ServerStart | undefined = service?.start;
  const wasRestored = world.originIdentity !== intent.destinationIdentity;
  if (isRestored && wasRestored && start !== undefined && world.origin() === undefined)
    startIfPossible(() => world.startServer(start).tick());
}

/** By backup: where the restored data has to end, seen before anything was done. */
function rangesOf(story: ClusterStory): readonly Range[] {
  return story.intent.candidates.flatMap((candidate) => {
    try {
      return [expectedRange(story, candidate)];
    } catch {
      return [];
    }
  });
}

function endOf(story: ClusterStory) {
  const { world, intent, standbys, bouncer } = story;
  const { fs } = world;
  // WAL that is on its way arrives, and nobody writes meanwhile.
  for (const server of world.servers) server.tick();
  return {
    primary: world.origin()?.phase ?? 'away',
    isSwapped: fs.directory(intent.dataDirectory)?.identity !== intent.destinationIdentity,
    timeline: world.history.timeline,
    old: describeOld(story, intent.oldDataDirectory),
    standbys: standbys.map(({ dataDirectory }) => describeStandby(story, dataDirectory)),
    front: [bouncer?.portOf('app'), bouncer?.portOf('reports'), fs.readFile(ENDPOINTS_FILE)],
    slots: [...(world.origin()?.slots ?? [])].sort(),
    left: fs.list('/var/lib/postgresql/15').filter((name) => name.startsWith('.spoke-restore') || name.includes('.old-')),
  };
}

/** The primary is at its target on a timeline of its own; everybody follows it and is named again. */
function expectWhole(story: ClusterStory, ranges: readonly Range[]): void {
  const { world, intent, standbys, bouncer } = story;
  const origin = world.origin();
  expect(origin?.directory.identity).toBe(world.fs.directory(intent.dataDirectory)?.identity);
  expect(origin?.directory.identity).not.toBe(intent.destinationIdentity);
  const fork = world.history.historyOf(world.history.timeline).ancestors.at(-1)?.switchLsn ?? 0n;
  const isLatest = story.target.kind === 'latest';
  expect(
    ranges.some(({ from, before }) => fork >= from && (isLatest || fork < before)),
    `restored up to ${fork}`,
  ).toBe(true);
  for (const { dataDirectory } of standbys)
    expect(describeStandby(story, dataDirectory)).toMatchObject({ streams: true, hasEverything: true, isStandby: true });
  if (bouncer !== undefined) expect(bouncer.portOf('app')).toBe(PRIMARY_PORT);
  const named = world.fs.readFile(ENDPOINTS_FILE);
  if (named !== undefined) for (const { port } of standbys) expect(named).toContain(`:${port}`);
  const old = intent.oldDataDirectory === null ? undefined : world.fs.directory(intent.oldDataDirectory);
  if (intent.discardOld) expect(old).toBeUndefined();
  else expect(old === undefined ? undefined : parseLsn(readContent(old)?.lsn ?? '0/0') > 0n).toBe(true);
}

/** Gives the run up as `runs cancel` does. */
export async function giveUp({ world, cluster, intent }: ClusterStory, disturbances: ReadonlyMap<number, Disturbance> = new Map()) {
  const process = new FakeProcess(world, { disturbances });
  const ports = fakePorts(process, cluster);
  const context = { ports, emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    const run = await fakePorts(new FakeProcess(world), cluster).runs.read(RUN_ID);
    await cancelRun(run, workflowOfRestore(intent, cluster, ports), context);
    return { process };
  } catch (thrown) {
    return { process, error: process.isAlive ? asSpokeError(thrown) : undefined };
  }
}

/** On whose data directories servers run: the primary's, then the standbys'. */
export function serversOf({ world, standbys }: ClusterStory): readonly (string | undefined)[] {
  return [world.origin()?.start.dataDirectory, ...standbys.map(({ dataDirectory }) => runningOn({ world }, dataDirectory))];
}

function runningOn({ world }: Pick<ClusterStory, 'world'>, path: string): string | undefined {
  const directory = world.fs.directory(path);
  return directory === undefined ? undefined : world.serverOn(directory.identity)?.start.dataDirectory;
}
