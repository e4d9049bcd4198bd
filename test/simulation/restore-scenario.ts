import fc from 'fast-check';
import type { RecoveryTarget } from '../../src/domain/recovery/target.ts';
import { addMicros } from '../../src/domain/time/instant.ts';
import type { RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import { SpokeError } from '../../src/errors.ts';
import { decideRestore } from '../../src/workflows/restore/decide.ts';
import type { RestoreIntent } from '../../src/workflows/restore/intent.ts';
import { observeForRestore } from '../../src/workflows/restore/observe.ts';
import type { RestoreRequest } from '../../src/workflows/restore/request.ts';
import { buildCluster, DATA_DIRECTORY, type FakeCluster, type FakeEvent, NODE } from '../fakes/cluster.ts';
import { isComplete, readContent, readControl, writeDataDirectory } from '../fakes/data-directory.ts';
import type { FakeHistory, WalRecord } from '../fakes/history.ts';
import { readOnlyPorts } from '../fakes/ports.ts';
import { FakeProcess } from '../fakes/process.ts';
import { POSTGRES_USER } from '../fakes/world.ts';

const FIRST_EVENTS: readonly FakeEvent[] = [{ kind: 'commit' }, { kind: 'commit' }, { kind: 'backup', repository: 0, type: 'full' }];
const ELSEWHERE = '/srv/restored';

type TargetKind = RecoveryTarget['kind'];
type CandidateFault = 'none' | 'damaged backup' | 'expired backup' | 'repository down' | 'damaged segment';

/** What the world is like, what is asked for, and what turns out to be broken once it was decided. */
export interface RestoreScenario {
  readonly events: readonly FakeEvent[];
  readonly repositories: 1 | 2;
  readonly primary: 'running' | 'stopped' | 'crashed' | 'gone';
  readonly service: 'pg_ctl' | 'systemd';
  readonly tablespaces: number;
  readonly configurationInDataDirectory: boolean;
  /** So many of the last events happened after the last segment was archived. */
  readonly unarchivedEvents: number;
  readonly destination: 'absent' | 'empty' | 'existing' | 'in place';
  readonly target: { readonly kind: TargetKind; readonly position: number; readonly inclusive: boolean };
  readonly timeline: 'latest' | 'current';
  readonly targetAction: 'promote' | 'pause';
  readonly start: boolean;
  readonly discardOld: boolean;
  /** Of the candidates in their order. */
  readonly faults: readonly CandidateFault[];
}

const event: fc.Arbitrary<FakeEvent> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<FakeEvent>({ kind: 'commit' }) },
  { weight: 1, arbitrary: fc.nat(1000).map((n): FakeEvent => ({ kind: 'restore point', name: `point-${n}` })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('backup' as const),
      repository: fc.nat(1),
      type: fc.constantFrom('full' as const, 'incr' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant<FakeEvent>({ kind: 'promotion' }) },
);

const faults = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<CandidateFault>('none') },
    { weight: 1, arbitrary: fc.constantFrom<CandidateFault>('damaged backup', 'expired backup', 'repository down', 'damaged segment') },
  ),
  { maxLength: 4 },
);

/** From 0 up to 1, evenly: fc.double favours the smallest. */
export const share = fc.integer({ min: 0, max: 9_999 }).map((value) => value / 10_000);

export const restoreScenario: fc.Arbitrary<RestoreScenario> = fc.record({
  events: fc.array(event, { minLength: 4, maxLength: 24 }),
  repositories: fc.constantFrom(1, 2),
  primary: fc.constantFrom('running', 'stopped', 'crashed', 'gone'),
  service: fc.constantFrom('pg_ctl', 'systemd'),
  tablespaces: fc.nat(2),
  configurationInDataDirectory: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  unarchivedEvents: fc.oneof(fc.constant(0), fc.nat(8)),
  destination: fc.constantFrom('absent', 'empty', 'existing', 'in place'),
  target: fc.record({
    kind: fc.constantFrom<TargetKind>('time', 'lsn', 'xid', 'name', 'immediate', 'latest'),
    position: share,
    inclusive: fc.boolean(),
  }),
  timeline: fc.oneof({ weight: 4, arbitrary: fc.constant('latest' as const) }, { weight: 1, arbitrary: fc.constant('current' as const) }),
  targetAction: fc.constantFrom('promote', 'pause'),
  start: fc.boolean(),
  discardOld: fc.boolean(),
  faults,
});

/** A scenario that was made real: the same scenario gives the same world and the same intent each time. */
export interface RestoreStory extends FakeCluster {
  readonly intent: RestoreIntent;
  readonly target: RecoveryTarget;
}

/** Builds the world, decides, and only then breaks what is to be broken. Undefined where the restore is refused. */
export async function tellRestore(scenario: RestoreScenario, options = { reusesInodes: true }): Promise<RestoreStory | undefined> {
  return tellRestoreIn(buildWorld(scenario, options), scenario, (intent) => Promise.resolve(intent));
}

/** The same in a world that was built already; `further`: what is decided beyond the restore of the one node. */
export async function tellRestoreIn(
  built: FakeCluster,
  scenario: RestoreScenario,
  further: (intent: RestoreIntent) => Promise<RestoreIntent>,
): Promise<RestoreStory | undefined> {
  const target = targetOf(scenario, built.world.history);
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  const request = requestOf(scenario, built, target);
  try {
    const context = { signal: new AbortController().signal };
    const intent = await further(decideRestore(request, await observeForRestore(request, ports, context)));
    breakCandidates(scenario, built, intent);
    return { ...built, intent: JSON.parse(JSON.stringify(intent)) as RestoreIntent, target };
  } catch (thrown) {
    if (thrown instanceof SpokeError && (thrown.exitCode === 12 || thrown.exitCode === 13 || thrown.exitCode === 2)) return undefined;
    throw thrown;
  }
}

export function buildWorld(scenario: RestoreScenario, { reusesInodes }: { readonly reusesInodes: boolean }): FakeCluster {
  const { primary, repositories, tablespaces, unarchivedEvents } = scenario;
  const events = [...FIRST_EVENTS, ...scenario.events];
  // Without a service manager nothing tells the server of a configuration in /etc.
  const configurationInDataDirectory = scenario.configurationInDataDirectory || !isDebian(scenario);
  const built = buildCluster({
    events,
    repositories,
    primary,
    service: scenario.service,
    startsAtBoot: comesBackAtBoot(scenario),
    tablespaces,
    configurationInDataDirectory,
    archiverFailsFrom: events.length - unarchivedEvents,
    reusesInodes,
  });
  if (scenario.destination === 'empty') built.world.fs.makeDirectory(ELSEWHERE, POSTGRES_USER);
  if (scenario.destination === 'existing' && !replacesPrimary(scenario)) writeOtherCopy(built);
  return built;
}

/** Somebody or something starts a primary that was running; not where the operator wants the restored one left alone. */
export function comesBackAtBoot({ primary, destination, start }: RestoreScenario): boolean {
  return primary === 'running' && (start || destination !== 'in place');
}

function isDebian({ service, destination, start }: RestoreScenario): boolean {
  return !start || (service === 'systemd' && destination === 'in place');
}

/** A stopped primary's own directory may be named as well as any other. */
function replacesPrimary({ primary }: RestoreScenario): boolean {
  return primary === 'stopped' || primary === 'crashed';
}

function writeOtherCopy({ world }: FakeCluster): void {
  const { history } = world;
  const lsn = `0/1000028`;
  writeDataDirectory(world.fs, ELSEWHERE, {
    control: { systemIdentifier: String(history.systemIdentifier), state: 'shut down', timeline: 1, redo: lsn, consistentAt: lsn },
    content: { lsn, timeline: 1 },
    owner: POSTGRES_USER,
    postgresqlConf: '',
  });
}

function targetOf({ target }: RestoreScenario, history: FakeHistory): RecoveryTarget {
  const pick = (records: readonly WalRecord[]) => records[Math.min(records.length - 1, Math.floor(target.position * records.length))];
  const { inclusive } = target;
  const commit = pick(history.records.filter((record) => record.kind === 'commit'));
  const point = pick(history.records.filter((record) => record.kind === 'restore point'));
  if (target.kind === 'latest' || target.kind === 'immediate') return { kind: target.kind };
  if (target.kind === 'name' && point?.name !== undefined) return { kind: 'name', name: point.name };
  if (commit?.xid === undefined) throw new Error('a history without commits');
  if (target.kind === 'xid') return { kind: 'xid', xid: commit.xid, inclusive };
  if (target.kind === 'lsn') return { kind: 'lsn', lsn: commit.lsn, inclusive };
  return { kind: 'time', time: addMicros(commit.time, BigInt(Math.round(target.position * 2)) - 1n), inclusive };
}

function requestOf(scenario: RestoreScenario, { cluster, spec }: FakeCluster, target: RecoveryTarget): RestoreRequest {
  const inPlace = scenario.destination === 'in place';
  const path = scenario.destination === 'existing' && replacesPrimary(scenario) ? DATA_DIRECTORY : ELSEWHERE;
  const locations = Array.from({ length: spec.tablespaces }, (_, index) => `/srv/ts${index}`);
  return {
    cluster,
    target,
    timeline: scenario.timeline,
    destination: inPlace ? { kind: 'in-place', node: NODE } : { kind: 'directory', path, port: 5433 },
    targetAction: target.kind === 'latest' ? 'promote' : scenario.targetAction,
    tablespaceMap: inPlace ? new Map() : new Map(locations.map((location) => [location, `${location}-restored`])),
    start: scenario.start,
    discardOld: scenario.discardOld,
    suffix: 'k3f9',
  };
}

function breakCandidates({ faults: broken }: RestoreScenario, { world }: FakeCluster, intent: RestoreIntent): void {
  for (const [index, candidate] of intent.candidates.entries()) {
    const repository = world.repositories.find((one) => one.name === (candidate.repository satisfies RepositoryName));
    const fault = broken[index];
    if (repository === undefined || fault === undefined) continue;
    if (fault === 'damaged backup') repository.damagedBackups.add(candidate.label);
    if (fault === 'expired backup') repository.expire(candidate.label);
    if (fault === 'repository down') repository.state = 'down';
    if (fault === 'damaged segment') {
      const names = [...repository.segments.keys()].sort();
      const name = names[Math.floor(names.length / 2)];
      if (name !== undefined) repository.damagedSegments.add(name);
    }
  }
}

/** Whether a directory that was replaced is still as good as it was. */
export function describeOld({ world: { fs } }: RestoreStory, path: string | null): 'none' | 'complete' | 'incomplete' | 'absent' {
  const directory = path === null ? undefined : fs.directory(path);
  if (directory === undefined) return path === null ? 'none' : 'absent';
  return isComplete(fs, directory) ? 'complete' : 'incomplete';
}

/** The state of a data directory as far as it must not depend on how often a run was interrupted. */
export function describeDirectory(story: RestoreStory, path: string) {
  const { fs } = story.world;
  const directory = fs.directory(path);
  if (directory === undefined) return 'absent';
  const control = readControl(directory);
  return {
    // Where the end of the archive is depends on how often the primary was asked to close its segment.
    content: story.target.kind === 'latest' ? 'all' : readContent(directory),
    control: control === undefined ? undefined : { state: control.state, timeline: control.timeline },
    autoConf: fs.readFile(`${path}/postgresql.auto.conf`),
    files: fs.list(path).filter((name) => !name.endsWith('.tmp')),
  };
}
