import type { RestoreIntent } from '../../src/workflows/restore/intent.ts';
import type { Proof } from '../../src/workflows/restore/facts.ts';
import { isComplete, isStartable, readContent, readControl } from '../fakes/data-directory.ts';
import type { FakeServer } from '../fakes/server.ts';
import type { FakeWorld } from '../fakes/world.ts';

/** Looks after every change of the world at what no restore may ever break; what it breaks is noted in `world.violations`. */
export function watchRestore(world: FakeWorld, intent: RestoreIntent): void {
  const look = restoreWatch(world, intent);
  world.onChange = () => noteBroken(world, look());
}

export function noteBroken({ violations }: FakeWorld, broken: readonly string[]): void {
  for (const one of broken) if (!violations.includes(one)) violations.push(one);
}

/** Gives what a restore has broken whenever it is asked; to be asked after every change. */
export function restoreWatch(world: FakeWorld, intent: RestoreIntent): () => readonly string[] {
  const before = oldContent(world, intent);
  const proven = new Set<string>();
  return () => [
    ...halfDirectories(world),
    ...lostOldDirectory(world, intent),
    ...changedOldDirectory(world, intent, before),
    ...unprovenDestination(world, intent, proven),
    ...wrongServers(world, intent),
  ];
}

/** Nothing half-restored or half-seeded can start. */
export function halfDirectories({ fs }: FakeWorld): readonly string[] {
  return fs
    .dataDirectories()
    .filter(([, directory]) => isStartable(directory) && !isComplete(fs, directory))
    .map(([path]) => `${path} has a pg_control and is not complete`);
}

/** What was there stays bootable, in its place up to the commit point and beside from then on, until it may be discarded. */
function lostOldDirectory({ fs }: FakeWorld, intent: RestoreIntent): readonly string[] {
  const { dataDirectory, oldDataDirectory, destinationIdentity } = intent;
  if (oldDataDirectory === null || destinationIdentity === null) return [];
  const present = fs.directory(dataDirectory);
  const committed = present !== undefined && present.identity !== destinationIdentity;
  const place = present?.identity === destinationIdentity ? present : fs.directory(oldDataDirectory);
  if (place?.identity === destinationIdentity && isComplete(fs, place)) return [];
  return committed && intent.discardOld ? [] : ['the old data directory was lost'];
}

/** What of the old data directory no restore may touch; its own server goes on with the rest for as long as it runs. */
function oldContent({ fs }: FakeWorld, { destinationIdentity }: RestoreIntent): string | undefined {
  const path = destinationIdentity === null ? undefined : fs.pathOf(destinationIdentity);
  const directory = path === undefined ? undefined : fs.directory(path);
  if (path === undefined || directory === undefined) return undefined;
  const settings = ['postgresql.conf', 'postgresql.auto.conf', 'recovery.signal'].map((name) => fs.readFile(`${path}/${name}`));
  return JSON.stringify([settings, readContent(directory)?.timeline, readControl(directory)?.timeline]);
}

function changedOldDirectory(world: FakeWorld, intent: RestoreIntent, before: string | undefined): readonly string[] {
  const { dataDirectory, destinationIdentity } = intent;
  const mayBeDiscarded = intent.discardOld && world.fs.directory(dataDirectory)?.identity !== destinationIdentity;
  return mayBeDiscarded || oldContent(world, intent) === before ? [] : ['the old data directory was changed'];
}

/** Nothing takes the place of the data directory that PostgreSQL has not said to have reached the target. */
function unprovenDestination({ fs }: FakeWorld, { dataDirectory, destinationIdentity, area }: RestoreIntent, proven: Set<string>) {
  const proof = fs.readFile(area.proofFile) ?? '';
  const dataIdentity = fs.directory(area.dataDirectory)?.identity;
  if (dataIdentity !== undefined && proof !== '') proven.add((JSON.parse(proof) as Proof).dataIdentity);
  else if (dataIdentity !== undefined) proven.delete(dataIdentity);
  const present = fs.directory(dataDirectory)?.identity;
  return present === undefined || present === destinationIdentity || proven.has(present) ? [] : ['what was not proven took the place'];
}

function wrongServers(world: FakeWorld, intent: RestoreIntent): readonly string[] {
  const pathOf = (server: FakeServer) => world.fs.pathOf(server.directory.identity) ?? '';
  const isBeside = (path: string) => path.startsWith(`${intent.area.root}/`);
  const servers = [...world.servers];
  const inPlace = servers.filter((server) => server.isWritable && [intent.dataDirectory, intent.oldDataDirectory].includes(pathOf(server)));
  const open = servers.filter((server) => isBeside(pathOf(server)) && server.start.listenAddresses !== '');
  const leaks = world.archivedBy.filter((path) => isBeside(path) || intent.archiving === 'off');
  return [
    ...(inPlace.length > 1 ? ['two writable servers of the data directory'] : []),
    ...open.map((server) => `the isolated server listens on ${server.start.listenAddresses ?? 'whatever its configuration says'}`),
    ...leaks.map((path) => `the server in ${path} archived`),
  ];
}
