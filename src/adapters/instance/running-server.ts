import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RunningServer } from '../../ports/instance.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { ifReadable } from './file-error.ts';
import { identityOf } from './identity.ts';
import { type LockFile, parseLockFile, parseSharedMemory } from './lock-file.ts';
import { isAlive, serversOf, servesDirectory } from './process-table.ts';

/** A data directory under examination. */
interface Suspect {
  readonly realPath: string;
  readonly identity: string;
}

const SOCKET_NAME = /^\.s\.PGSQL\.\d+$/;
const USUAL_SOCKET_DIRECTORIES = ['/run/postgresql', '/var/run/postgresql', '/tmp'];

/**
 * Whether a server runs on a directory, by four independent traces: postmaster.pid may have been deleted, /proc may hide other
 * users' processes, and backends may outlive their postmaster. Where a trace cannot be read to the end, it counts as running.
 */
export async function findRunningServer(suspect: Suspect, runner: ProcessRunner): Promise<RunningServer | undefined> {
  const lockFile = await readLockFile(join(suspect.realPath, 'postmaster.pid'));
  if (lockFile !== undefined && (await servesDirectory(lockFile.pid, suspect.identity, runner)) !== 'no')
    return { evidence: 'postmaster.pid', ...whereaboutsOf(lockFile) };
  const sockets = await readSocketLockFiles();
  const [pid] = await serversOf(suspect.identity, runner);
  if (pid !== undefined) return { evidence: 'process', pid, ...whereaboutsOf(sockets.find((one) => one.pid === pid)) };
  const socket = await findSocket(suspect, sockets, runner);
  if (socket !== undefined) return { evidence: 'socket', ...whereaboutsOf(socket) };
  return (await hasSharedMemory(suspect, lockFile, runner)) ? { evidence: 'shared memory' } : undefined;
}

/** Of postmaster.pid or a socket's lock file; undefined where there is none or it cannot be read. */
export async function readLockFile(path: string): Promise<LockFile | undefined> {
  const text = await ifReadable(readFile(path, 'utf8'));
  return text === undefined ? undefined : parseLockFile(text);
}

async function findSocket(suspect: Suspect, sockets: readonly LockFile[], runner: ProcessRunner): Promise<LockFile | undefined> {
  for (const socket of sockets) {
    const directory = await ifReadable(stat(socket.dataDirectory, { bigint: true }));
    const isSame = directory === undefined ? socket.dataDirectory === suspect.realPath : identityOf(directory) === suspect.identity;
    if (isSame && (await servesDirectory(socket.pid, suspect.identity, runner)) !== 'no') return socket;
  }
  return undefined;
}

async function readSocketLockFiles(): Promise<readonly LockFile[]> {
  const found: LockFile[] = [];
  for (const path of await socketPaths()) {
    const lockFile = await readLockFile(`${path}.lock`);
    if (lockFile !== undefined) found.push({ ...lockFile, socketDirectory: dirname(path) });
  }
  return found;
}

/** Of every server's socket: all that the kernel knows, and those in the usual places. */
async function socketPaths(): Promise<readonly string[]> {
  const kernel = ((await ifReadable(readFile('/proc/net/unix', 'utf8'))) ?? '')
    .split('\n')
    .flatMap((line) => /(\/\S*\/\.s\.PGSQL\.\d+)$/.exec(line)?.[1] ?? []);
  const usual = await Promise.all(
    USUAL_SOCKET_DIRECTORIES.map(async (directory) => {
      const names = (await ifReadable(readdir(directory))) ?? [];
      return names.filter((name) => SOCKET_NAME.test(name)).map((name) => join(directory, name));
    }),
  );
  return [...new Set([...kernel, ...usual.flat()])];
}

/**
 * PostgreSQL takes the data directory's inode number for the key of its System V segment (PGSharedMemoryCreate in
 * sysv_shmem.c), and stays attached to it with every process. Another cluster can have the same inode number on another
 * file system: it is told apart by the process that made the segment.
 */
async function hasSharedMemory(suspect: Suspect, lockFile: LockFile | undefined, runner: ProcessRunner): Promise<boolean> {
  const inode = BigInt(suspect.identity.split(':')[1] ?? '0');
  const text = (await ifReadable(readFile('/proc/sysvipc/shm', 'utf8'))) ?? '';
  for (const segment of parseSharedMemory(text)) {
    if (segment.attached === 0) continue;
    if (lockFile?.sharedMemory?.id === segment.id && BigInt.asUintN(32, lockFile.sharedMemory.key) === segment.key) return true;
    if (segment.key !== BigInt.asUintN(32, inode)) continue;
    if (!(await isAlive(segment.creatorPid))) return true;
    if ((await servesDirectory(segment.creatorPid, suspect.identity, runner)) !== 'no') return true;
  }
  return false;
}

function whereaboutsOf(lockFile: LockFile | undefined): Pick<RunningServer, 'pid' | 'port' | 'socketDirectory'> {
  if (lockFile === undefined) return {};
  return {
    pid: lockFile.pid,
    ...(lockFile.port === undefined ? {} : { port: lockFile.port }),
    ...(lockFile.socketDirectory === undefined ? {} : { socketDirectory: lockFile.socketDirectory }),
  };
}
