import type { InstanceReader } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** Asks the other end for one of the methods of its InstanceReader; null stands for undefined. */
export type Inspect = (what: string, of: readonly unknown[], context: OperationContext) => Promise<unknown>;

/** The machine at the other end. `context`: of what is asked without one. */
export function remoteInstance(
  inspect: Inspect,
  user: ReturnType<InstanceReader['currentUser']>,
  context: OperationContext,
): InstanceReader {
  const ask = async <T>(what: keyof InstanceReader, of: readonly unknown[], limits = context) =>
    ((await inspect(what, of, limits)) ?? undefined) as T;
  return {
    inspectDirectory: (path, limits) => ask('inspectDirectory', [path], limits),
    findInstallation: (major, limits) => ask('findInstallation', [major], limits),
    findUser: (name) => ask('findUser', [name]),
    ownerOf: (path) => ask('ownerOf', [path]),
    currentUser: () => user,
    readFileTail: (path, maxBytes) => ask('readFileTail', [path, maxBytes]),
    readServerLog: (server, maxBytes) => ask('readServerLog', [server, maxBytes]),
    readWalEnd: (dataDirectory) => ask('readWalEnd', [dataDirectory]),
    listFiles: (directory) => ask('listFiles', [directory]),
    findFreePort: () => ask('findFreePort', []),
    freeSpaceOf: (path) => ask('freeSpaceOf', [path]),
    availableMemoryBytes: () => ask('availableMemoryBytes', []),
  };
}
