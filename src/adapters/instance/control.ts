import { resolve } from 'node:path';
import type { InstanceControl } from '../../ports/instance.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { awaitUnwritten } from './await-unwritten.ts';
import { copyFiles } from './copy-files.ts';
import { createDirectory, removeFileDurably, writeFileDurably } from './durable-files.ts';
import { removeDirectory } from './remove-directory.ts';
import { renameDirectory } from './rename-directory.ts';
import { startServer } from './start-server.ts';
import { stopServer } from './stop-server.ts';

/** Changes this machine: servers, directories, files. As root for any owner, else for the current user alone. */
export function createInstanceControl({ runner }: { readonly runner: ProcessRunner }): InstanceControl {
  return {
    startServer: (start, context) => startServer(start, runner, context),
    stopServer: (server, context) => stopServer(server, runner, context),
    createDirectory: async (path, owner) => {
      await awaitUnwritten(resolve(path));
      await createDirectory(path, owner);
    },
    writeFileDurably,
    removeFileDurably,
    renameDirectory: (from, to, identity) => renameDirectory(from, to, identity, runner),
    removeDirectory: (path, identity) => removeDirectory(path, identity, runner),
    copyFiles,
  };
}
