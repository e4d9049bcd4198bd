import { intentAsItStands, type ReseedIntent, worksInPlace } from '../../src/workflows/reseed/intent.ts';
import { parseSeedMark } from '../../src/domain/topology/seed-mark.ts';
import { DATA_DIRECTORY } from '../fakes/cluster.ts';
import { isComplete, readContent, readControl } from '../fakes/data-directory.ts';
import type { FakeWorld } from '../fakes/world.ts';
import { halfDirectories } from './invariants.ts';
import { ENDPOINTS_FILE, PASSWORD, type ReseedScenario, type ReseedStory, SLOT, STANDBY_PORT, wouldBePrimary } from './reseed-scenario.ts';

/** Looks after every change of the world at what no reseed may ever break; what it breaks is noted in `world.violations`. */
export function watchReseed({ world, intent: decided }: ReseedStory, scenario: ReseedScenario): void {
  const before = dataOf(world, decided);
  const slots = [...(world.origin()?.slots ?? [])];
  let hadGoodSlot = slots.includes(SLOT);
  world.onChange = () => {
    if (world.lostSlots.has(SLOT)) hadGoodSlot = false;
    const intent = intentAsItStands(decided, parseSeedMark(world.fs.readFile(decided.area.markerFile) ?? ''));
    const hasStreamed = [...world.runs.values()].some(({ lines }) =>
      lines.some((line) => line.includes('"kind":"step-finished"') && line.includes('await-streaming')),
    );
    const broken = [
      ...lostData(world, intent, hasStreamed),
      ...halfDirectories(world),
      ...secondPrimary(world, (path) => path === decided.dataDirectory && wouldBePrimary(scenario) && dataOf(world, decided) === before),
      ...emptiedServers(world),
      ...wrongSlots(world, slots, hadGoodSlot),
      ...sentToNobody(world, intent, hasStreamed),
      ...leakedPassword(world, intent),
    ];
    for (const one of broken) if (!world.violations.includes(one)) world.violations.push(one);
  };
}

/** I1: the primary is never touched, and the old standby is bootable until the new one streams, where the method does not work on it. */
function lostData({ fs, originIdentity }: FakeWorld, intent: ReseedIntent, hasStreamed: boolean): readonly string[] {
  const { method, dataDirectory, oldDataDirectory, destinationIdentity, instead, keepOld } = intent;
  const primary = fs.directory(DATA_DIRECTORY);
  const isPrimaryWhole = primary !== undefined && primary.identity === originIdentity && isComplete(fs, primary);
  const ofPrimary = isPrimaryWhole ? [] : ['the data of the primary was touched'];
  // Of a pg_rewind that was interrupted nothing whole is left.
  const wasRewound = instead === null && intent.reason.startsWith('pg_rewind was interrupted');
  if (destinationIdentity === null || worksInPlace(method) || wasRewound || (hasStreamed && !keepOld)) return ofPrimary;
  const places = [dataDirectory, oldDataDirectory ?? ''].map((path) => fs.directory(path));
  const old = places.find((one) => one?.identity === destinationIdentity);
  return [...ofPrimary, ...(old !== undefined && isComplete(fs, old) ? [] : ['the old standby was lost before the new one streamed'])];
}

/** The data of the standby, as far as an old primary that somebody starts may be started: it is as it was before the run. */
function dataOf({ fs }: FakeWorld, { dataDirectory }: ReseedIntent): string {
  const directory = fs.directory(dataDirectory);
  if (directory === undefined) return 'none';
  return JSON.stringify([directory.identity, readContent(directory), readControl(directory)?.timeline]);
}

/** I3. `isOfOthers`: whether what runs there somebody may have started before this program had anything to do with its data. */
function secondPrimary(world: FakeWorld, isOfOthers: (path: string) => boolean): readonly string[] {
  const found = [...world.servers].filter((server) => server.isWritable && !server.isOrigin);
  return found.every(({ start }) => isOfOthers(start.dataDirectory)) ? [] : ['there were two writable primaries'];
}

/** What a server runs on is not worked on. */
function emptiedServers({ fs, servers }: FakeWorld): readonly string[] {
  return [...servers]
    .filter(({ directory }) => !isComplete(fs, directory))
    .map(({ start }) => `the files of the server on ${start.dataDirectory} were taken away`);
}

/** A slot that holds WAL for a standby stays, and none is made that nobody will read. */
function wrongSlots(world: FakeWorld, before: readonly string[], hadGoodSlot: boolean): readonly string[] {
  const origin = world.origin();
  if (origin === undefined) return [];
  const orphans = [...origin.slots].filter((slot) => slot !== SLOT && !before.includes(slot));
  return [
    ...orphans.map((slot) => `the slot ${slot} is nobody's`),
    ...(hadGoodSlot && !origin.slots.has(SLOT) ? ['a good slot was dropped'] : []),
  ];
}

/** From when the standby is worked on until it streams nobody is sent to it. */
function sentToNobody({ fs }: FakeWorld, { area }: ReseedIntent, hasStreamed: boolean): readonly string[] {
  const isWorkedOn = fs.readFile(area.markerFile) !== undefined && !hasStreamed;
  const isNamed = fs.readFile(ENDPOINTS_FILE)?.includes(`:${STANDBY_PORT}`) === true;
  return isWorkedOn && isNamed ? ['applications are sent to a standby that is being seeded'] : [];
}

/** I5: the password is in the passfile and nowhere else. */
function leakedPassword({ fs, runs }: FakeWorld, { passfile }: ReseedIntent): readonly string[] {
  const holds = (text: string) => text.includes(PASSWORD) || text.includes(JSON.stringify(PASSWORD).slice(1, -1));
  const files = [...fs.walk()].flatMap(([path, node]) =>
    node.kind === 'file' && path !== passfile?.path && holds(node.content) ? [path] : [],
  );
  const journals = [...runs].flatMap(([id, { header, lines }]) => (holds(header) || lines.some(holds) ? [id] : []));
  return [...files, ...journals].map((place) => `the password is in ${place}`);
}
