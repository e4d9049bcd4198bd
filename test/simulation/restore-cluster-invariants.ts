import { formatLsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import { parseSeedMark } from '../../src/domain/topology/seed-mark.ts';
import { slotOf } from '../../src/domain/topology/slot-name.ts';
import type { JournalEntry } from '../../src/ports/run-store.ts';
import { intentAsItStands, worksInPlace } from '../../src/workflows/reseed/intent.ts';
import { type ClusterStages, idFor, stagesOf } from '../../src/workflows/restore-cluster/stages.ts';
import { isComplete, isStartable, readContent, readControl } from '../fakes/data-directory.ts';
import type { FakeWorld } from '../fakes/world.ts';
import { noteBroken, restoreWatch } from './invariants.ts';
import { type ClusterStory, ENDPOINTS_FILE, PRIMARY_PORT } from './restore-cluster-scenario.ts';

/** Where the journal says that the run is. */
interface Journal extends ClusterStages {
  readonly streamed: (node: string) => boolean;
}

/** Clients write whenever they can; then it is looked at what no restore of a cluster may ever break. It is noted in `world.violations`. */
export function watchRestoreOfCluster(story: ClusterStory): void {
  const { world, intent } = story;
  const ofPrimary = restoreWatch(world, intent);
  const before = new Map(story.standbys.map(({ dataDirectory }) => [dataDirectory, dataOf(world, dataDirectory)]));
  const wasServing = world.origin() !== undefined;
  let isHeld = wasServing;
  const crashMachine = world.crashMachine.bind(world);
  world.crashMachine = () => {
    isHeld = false;
    crashMachine();
  };
  const look = journalReader(world);
  world.onChange = () => {
    if (world.origin()?.isWritable === true) world.history.commit();
    const journal = look();
    noteBroken(world, [
      ...ofPrimary(),
      ...secondPrimary(world),
      ...emptiedServers(world),
      ...(journal.primaryIsBack ? lostStandbys(story, journal) : changedStandbys(world, before)),
      ...lostCommits(story),
      ...wrongFront(story, journal),
      ...(isHeld ? clientsInTheDark(story) : []),
      ...wrongSlots(story),
    ]);
  };
}

/** Reads the journal anew only where it has grown. */
function journalReader({ runs }: FakeWorld): () => Journal {
  let lines: readonly string[] | undefined;
  let read = asJournal([]);
  return () => {
    const [run] = runs.values();
    const found = run?.torn === true ? run.lines.slice(0, -1) : [...(run?.lines ?? [])];
    if (found.length !== lines?.length) read = asJournal(found.map((line) => JSON.parse(line) as JournalEntry));
    lines = found;
    return read;
  };
}

function asJournal(entries: readonly JournalEntry[]): Journal {
  const finished = new Set(entries.flatMap((entry) => (entry.kind === 'step-finished' ? [entry.step] : [])));
  return { ...stagesOf({ entries }), streamed: (node) => finished.has(idFor(node, 'await-streaming')) };
}

/** I3, for whoever clients can reach. */
function secondPrimary({ servers }: FakeWorld): readonly string[] {
  const writable = [...servers].filter((server) => server.isWritable && server.start.listenAddresses !== '');
  return writable.length > 1 ? [`${writable.map(({ start }) => start.dataDirectory).join(' and ')} both take writes`] : [];
}

/** What a server runs on is not worked on. */
function emptiedServers({ fs, servers }: FakeWorld): readonly string[] {
  return [...servers]
    .filter(({ directory }) => !isComplete(fs, directory))
    .map(({ start }) => `the files of the server on ${start.dataDirectory} were taken away`);
}

function dataOf({ fs }: FakeWorld, path: string) {
  const directory = fs.directory(path);
  const content = directory === undefined ? undefined : readContent(directory);
  return { identity: directory?.identity, timeline: content?.timeline, lsn: parseLsn(content?.lsn ?? '0/0') };
}

/** I1: until the primary is back, what the standbys have is all that is left beside it: they may get WAL and nothing else. */
function changedStandbys(world: FakeWorld, before: ReadonlyMap<string, ReturnType<typeof dataOf>>): readonly string[] {
  return [...before].flatMap(([path, was]) => {
    const [directory, now] = [world.fs.directory(path), dataOf(world, path)];
    const isAsItWas = directory !== undefined && isStartable(directory) && isComplete(world.fs, directory) && now.lsn >= was.lsn;
    return isAsItWas && now.identity === was.identity ? [] : [`the data of ${path} was touched before the primary was back`];
  });
}

/** I1: seeded beside, a standby stays bootable until the new one streams. */
function lostStandbys({ world: { fs } }: ClusterStory, { decided, streamed }: Journal): readonly string[] {
  return decided.flatMap(({ node, reseed }) => {
    if (reseed === null || streamed(node)) return [];
    const intent = intentAsItStands(reseed, parseSeedMark(fs.readFile(reseed.area.markerFile) ?? ''));
    const wasRewound = intent.instead === null && intent.reason.startsWith('pg_rewind was interrupted');
    if (worksInPlace(intent.method) || wasRewound) return [];
    const places = [intent.dataDirectory, intent.oldDataDirectory ?? ''].map((path) => fs.directory(path));
    const old = places.find((one) => one?.identity === intent.destinationIdentity);
    return old !== undefined && isComplete(fs, old) && isStartable(old)
      ? []
      : [`the old data of ${node} was lost before the new one streamed`];
  });
}

/** What the old primary acknowledged it has when it is put aside; what the new one acknowledged stays. */
function lostCommits({ world, intent }: ClusterStory): readonly string[] {
  const { fs, history } = world;
  const old = intent.oldDataDirectory === null ? undefined : fs.directory(intent.oldDataDirectory);
  const present = fs.directory(intent.dataDirectory);
  const isSwapped = present !== undefined && old?.identity === intent.destinationIdentity;
  const content = old === undefined ? undefined : readContent(old);
  if (!isSwapped || content === undefined || !isComplete(fs, old)) return [];
  const last = history.records.findLast(({ timeline }) => timeline === content.timeline);
  const isWhole = last === undefined || parseLsn(content.lsn) >= last.endLsn;
  return isWhole ? [] : [`what was acknowledged up to ${formatLsn(last.endLsn)} is not in ${String(intent.oldDataDirectory)}`];
}

/** Nobody is sent to write anywhere but to the primary; from when the new one serves nobody is sent to a standby that does not follow it. */
function wrongFront({ world, bouncer, standbys, intent }: ClusterStory, journal: Journal): readonly string[] {
  const app = bouncer?.portOf('app');
  const toWrite = app === undefined || app === PRIMARY_PORT ? [] : [`who writes is sent to port ${app}`];
  if (!journal.primaryIsBack) return toWrite;
  const follows = (node: string) => journal.streamed(node) || journal.decided.some((one) => one.node === node && one.reseed === null);
  const named = world.fs.readFile(ENDPOINTS_FILE) ?? '';
  const stale = (intent.standbys ?? []).filter(({ server }) => !follows(server.node)).map(({ server }) => server.port);
  const reports = bouncer?.portOf('reports');
  return [
    ...toWrite,
    ...stale.filter((port) => named.includes(`:${port}`)).map((port) => `the endpoints name port ${port}, which does not follow`),
    ...stale.filter((port) => port === reports).map((port) => `who reads is sent to port ${port}, which does not follow`),
    ...(standbys.length === 0 ? ['a cluster without standbys'] : []),
  ];
}

/** Clients wait instead of failing, for as long as this program has the primary away. */
function clientsInTheDark({ world, bouncer }: ClusterStory): readonly string[] {
  const isAway = world.origin()?.isWritable !== true;
  return bouncer !== undefined && isAway && bouncer.portOf('app') !== undefined
    ? ['clients were let through to a primary that is away']
    : [];
}

/** None is made that nobody will read. */
function wrongSlots({ world, cluster }: ClusterStory): readonly string[] {
  const known = cluster.nodes.map(({ name }) => slotOf(name));
  return [...(world.origin()?.slots ?? [])].filter((slot) => !known.includes(slot)).map((slot) => `the slot ${slot} is nobody's`);
}

/** The state of a standby as far as it must not depend on how often a run was interrupted. */
export function describeStandby({ world }: ClusterStory, path: string) {
  const directory = world.fs.directory(path);
  if (directory === undefined) return 'absent';
  const server = world.serverOn(directory.identity);
  const origin = world.origin();
  return {
    streams: origin !== undefined && server?.source === origin,
    timeline: readControl(directory)?.timeline,
    hasEverything: readContent(directory)?.lsn === (origin === undefined ? '' : formatLsn(origin.lsn())),
    isStandby: world.fs.readFile(`${path}/standby.signal`) !== undefined,
    slot: server?.settings['primary_slot_name'],
  };
}
