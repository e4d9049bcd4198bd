import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import { createNativeEngine } from '../../../src/adapters/native/adapter.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import type { NativeRepository, NativeSettings } from '../../../src/adapters/native/settings.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';

/** A process that restores and is killed by SIGKILL, its own, the first time that it tells of a phase so far. */
export interface RestorerTask {
  readonly settings: Omit<NativeSettings, 'repositories' | 'nodes' | 'binDirectoryOf'>;
  readonly repositories: readonly (Omit<NativeRepository, 'open'> & { readonly directory: string })[];
  readonly binDirectory: string;
  readonly request: RestoreRequest;
  readonly dieAt: { readonly phase: string; readonly percent: number };
}

const { settings, repositories, binDirectory, request, dieAt } = JSON.parse(process.argv[2] ?? '') as RestorerTask;
const { user } = settings;
const parts = {
  settings: {
    ...settings,
    nodes: [],
    binDirectoryOf: async () => binDirectory,
    repositories: repositories.map((repository) => ({
      ...repository,
      open: async () => createFileBlobStore({ directory: repository.directory, ...(user === undefined ? {} : { owner: user }) }),
    })),
  },
  runner: createProcessRunner(),
  clock: { monotonicMs: () => performance.now() },
} as unknown as NativeParts;

await createNativeEngine(parts).engine.restoreBackup(request, {
  signal: new AbortController().signal,
  onProgress({ phase, percent = 0 }) {
    if (phase === dieAt.phase && percent >= dieAt.percent) process.kill(process.pid, 'SIGKILL');
  },
});
