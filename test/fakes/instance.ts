import type { DirectoryFacts, InstanceControl, InstanceReader } from '../../src/ports/instance.ts';
import { SpokeError } from '../../src/errors.ts';
import { controlDataOf, hasFile, isDataDirectory, POSTGRES_MAJOR, readContent, tablespacesOf } from './data-directory.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import type { FakeDirectory } from './file-system.ts';
import type { FakeProcess } from './process.ts';
import { removeHalf } from './remove.ts';
import { POSTGRES_USER, ROOT_USER, type FakeWorld } from './world.ts';

const FREE_PORT = 50_432;
const AVAILABLE_MEMORY_BYTES = 4 * 1024 ** 3;

export function fakeInstanceReader(process: FakeProcess): InstanceReader {
  const { world } = process;
  return {
    inspectDirectory: (path) => process.read(() => inspect(world, path)),
    findInstallation: (major) =>
      process.read(() =>
        world.installedMajors.has(major) ? { major, version: `${major}.14`, binDirectory: `/usr/lib/postgresql/${major}/bin` } : undefined,
      ),
    findUser: (name) => process.read(() => [POSTGRES_USER, ROOT_USER].find((user) => user.name === name)),
    ownerOf: (path) =>
      process.read(() => world.fs.directory(path)?.owner ?? (world.fs.readFile(path) === undefined ? undefined : POSTGRES_USER)),
    currentUser: () => world.currentUser,
    readServerLog: () => Promise.resolve(''),
    readFileTail: (path, maxBytes) => process.read(() => (world.fs.readFile(path) ?? '').slice(-maxBytes)),
    readWalEnd: (path) =>
      process.read(() => {
        const directory = world.fs.directory(path);
        const content = directory === undefined ? undefined : readContent(directory);
        return content === undefined ? undefined : { timeline: timelineIdOf(content.timeline), lsn: parseLsn(content.lsn) };
      }),
    listFiles: (directory) => process.read(() => world.fs.list(directory)),
    findFreePort: () => process.read(() => FREE_PORT),
    freeSpaceOf: (path) => process.read(() => (world.fs.lookAt(path) === undefined ? undefined : world.freeBytes)),
    availableMemoryBytes: () => process.read(() => AVAILABLE_MEMORY_BYTES),
  };
}

function inspect(world: FakeWorld, path: string): DirectoryFacts {
  const { fs } = world;
  const node = fs.lookAt(path);
  const realPath = node?.kind === 'link' ? node.target : path;
  const directory = fs.directory(realPath);
  const parent = realPath.slice(0, realPath.lastIndexOf('/')) || '/';
  const around = {
    path,
    realPath,
    isSymbolicLink: node?.kind === 'link',
    isMountPoint: world.mountPoints.has(realPath),
    ...(world.forbidden.has(realPath) ? { forbidden: `${realPath} is a directory of the operating system` } : {}),
    freeBytes: world.freeBytes,
    fileSystem: '/',
    parentWritable: true,
    ...(fs.directory(parent) === undefined ? {} : { parentOwner: fs.directory(parent)?.owner ?? ROOT_USER }),
  };
  const nothing = { hasRecoverySignal: false, hasStandbySignal: false, hasPostgresqlConf: false, tablespaces: [] };
  if (directory === undefined) return { ...around, ...nothing, kind: node === undefined ? 'absent' : 'not a directory' };
  return { ...around, ...insideOf(world, directory), identity: directory.identity, owner: directory.owner, mode: 0o700 };
}

function insideOf(world: FakeWorld, directory: FakeDirectory) {
  const server = world.serverOn(directory.identity);
  const control = isDataDirectory(directory) ? controlDataOf(directory) : undefined;
  return {
    kind: isDataDirectory(directory) ? ('postgres' as const) : directory.children.size === 0 ? ('empty' as const) : ('other' as const),
    ...(isDataDirectory(directory) ? { postgresMajor: POSTGRES_MAJOR } : {}),
    ...(control === undefined ? {} : { control }),
    hasRecoverySignal: hasFile(directory, 'recovery.signal'),
    hasStandbySignal: hasFile(directory, 'standby.signal'),
    hasPostgresqlConf: hasFile(directory, 'postgresql.conf'),
    tablespaces: tablespacesOf(directory),
    ...(server === undefined ? {} : { running: { evidence: 'postmaster.pid' as const, pid: server.pid, ...server.address } }),
  };
}

export function fakeInstanceControl(process: FakeProcess): InstanceControl {
  const { world } = process;
  const { fs } = world;
  return {
    startServer: (start) => process.change(`start server ${start.dataDirectory}`, () => void world.startServer(start)),
    stopServer: ({ dataDirectory, mode }) =>
      process.change(`stop server ${dataDirectory}`, () => {
        const directory = fs.directory(dataDirectory);
        if (directory !== undefined) world.serverOn(directory.identity)?.stop(mode);
      }),
    createDirectory: (path, owner) =>
      process.change(
        `create ${path}`,
        () => {
          const node = fs.lookAt(path);
          if (node !== undefined && node.kind !== 'directory') throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is no directory`);
          const made = fs.makeDirectory(path, owner);
          if (made.children.size === 0) made.owner = owner;
        },
        () => void fs.makeDirectory(parentOf(path), owner),
      ),
    writeFileDurably: (path, content) =>
      process.change(
        `write ${path}`,
        () => {
          if (fs.directory(parentOf(path)) === undefined)
            throw new SpokeError('FILE_SYSTEM_FAILED', `Cannot write ${path}: no such directory`);
          fs.writeFile(path, content);
        },
        () => fs.directory(parentOf(path))?.children.set('.half-written.tmp', { kind: 'file', content: content.slice(0, 10) }),
      ),
    removeFileDurably: (path) => process.change(`remove ${path}`, () => fs.remove(path)),
    renameDirectory: (from, to, identity) => process.change(`rename ${from} to ${to}`, () => rename(world, from, to, identity)),
    removeDirectory: (path, identity) =>
      process.change(
        `remove ${path}`,
        () => {
          if (mayRemove(world, path, identity)) fs.remove(path);
        },
        () => {
          if (mayRemove(world, path, identity)) removeHalf(fs, path);
        },
      ),
    copyFiles: (from, to, names) =>
      process.change(
        `copy files to ${to}`,
        () => copy(world, from, to, names),
        () => copy(world, from, to, names.slice(0, Math.ceil(names.length / 2))),
      ),
  };
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function rename(world: FakeWorld, from: string, to: string, identity: string): void {
  const { fs } = world;
  const [source, destination] = [fs.lookAt(from), fs.lookAt(to)];
  if (source === undefined && destination?.kind === 'directory' && destination.identity === identity) return;
  if (source?.kind !== 'directory' || source.identity !== identity)
    throw new SpokeError('PLAN_STALE', `${from} is not the directory that was looked at`);
  requireNotRunning(world, from, identity);
  const isFree = destination === undefined || (destination.kind === 'directory' && destination.children.size === 0);
  if (!isFree) throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${from} cannot be renamed to ${to}: the new name is taken`);
  fs.rename(from, to);
}

/** False where it is gone already. */
function mayRemove(world: FakeWorld, path: string, identity: string): boolean {
  const node = world.fs.lookAt(path);
  if (node === undefined) return false;
  if (node.kind !== 'directory' || node.identity !== identity)
    throw new SpokeError('PLAN_STALE', `${path} is not the directory that was looked at`);
  if (world.forbidden.has(path) || world.mountPoints.has(path)) throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is not removed`);
  requireNotRunning(world, path, identity);
  return true;
}

function requireNotRunning(world: FakeWorld, path: string, identity: string): void {
  if (world.serverOn(identity) !== undefined) throw new SpokeError('REFUSED_SERVER_RUNNING', `a server runs in ${path}`);
}

function copy({ fs }: FakeWorld, from: string, to: string, names: readonly string[]): void {
  for (const name of names) {
    const content = fs.readFile(`${from}/${name}`);
    if (content === undefined) throw new SpokeError('FILE_SYSTEM_FAILED', `Cannot copy ${from}/${name}: it is not there`);
    if (fs.readFile(`${to}/${name}`)?.length !== content.length) fs.writeFile(`${to}/${name}`, content);
  }
}
