import { type Stats, statSync } from 'node:fs';
import { readdir, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { SpokeError } from '../../errors.ts';
import type { InstanceReader, PostgresInstallation } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { readFileTail } from './file-tail.ts';
import { inspectDirectory } from './inspect.ts';
import { findInstallation } from './installation.ts';
import { readServerLog } from './server-log.ts';
import { readWalEnd } from './wal-end.ts';
import { currentUser, findUser, ownerOf } from './users.ts';

export interface InstanceReaderOptions {
  readonly runner: ProcessRunner;
  /** Looked into before the usual places. */
  readonly binDirectory?: string;
}

/** Reads this machine: directories, installed versions, users. Changes nothing. */
export function createInstanceReader(options: InstanceReaderOptions): InstanceReader {
  const { runner } = options;
  const found = new Map<number, PostgresInstallation>();
  // What is installed does not change while one command runs; asking takes a process each time.
  const find = async (major: number, context: OperationContext) => {
    const installation = found.get(major) ?? (await findInstallation(major, options.binDirectory, runner, context));
    if (installation !== undefined) found.set(major, installation);
    return installation;
  };
  return {
    inspectDirectory: (path, context) => inspectDirectory(path, { runner, findInstallation: find }, context),
    findInstallation: find,
    findUser: (name) => findUser(name, runner),
    async ownerOf(path) {
      const stats = await translating(`look at ${path}`, () => ifPresent(new Promise<Stats>((resolve) => resolve(statSync(path)))));
      return stats === undefined ? undefined : ownerOf(stats.uid, stats.gid, runner);
    },
    currentUser,
    readFileTail,
    readServerLog,
    readWalEnd,
    async listFiles(directory) {
      const names = await translating(`list ${directory}`, () => ifPresent(readdir(directory)));
      return (names ?? []).sort((left, right) => (left < right ? -1 : 1));
    },
    findFreePort,
    async freeSpaceOf(path) {
      const space = await translating(`read the free space of ${path}`, () => ifPresent(statfs(path, { bigint: true })));
      return space === undefined ? undefined : space.bavail * space.bsize;
    },
    availableMemoryBytes: () => Promise.resolve(process.availableMemory()),
  };
}

/** The kernel's own choice, given back at once: somebody else could take it before it is used. */
async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new SpokeError('INTERNAL', 'a TCP server has no port');
  return address.port;
}
