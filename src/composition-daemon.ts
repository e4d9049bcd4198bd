import { createProcessRunner } from './adapters/process/index.ts';
import { createRunProcesses } from './adapters/state/run-processes.ts';
import { createRunStore } from './adapters/state/run-store.ts';
import { createScheduleStore } from './adapters/state/schedule-store.ts';
import { createServiceNotifier } from './adapters/systemd/notifier.ts';
import type { Configuration } from './config/model.ts';
import type { RunProcesses, RunReader } from './ports/run-store.ts';
import type { ScheduleStore } from './ports/schedule-store.ts';
import type { ServiceNotifier } from './ports/service-notifier.ts';

/** The journals of every run on this host, and the processes that work on them. */
export function composeHistory({ stateDirectory }: Configuration): { readonly runs: RunReader; readonly processes: RunProcesses } {
  return { runs: createRunStore(stateDirectory), processes: createRunProcesses(stateDirectory) };
}

/** Since when each schedule of the cluster is known. */
export function composeScheduleStore({ stateDirectory }: Configuration, cluster: string): ScheduleStore {
  return createScheduleStore(stateDirectory, cluster);
}

/** systemd, where it started us. */
export function composeServiceNotifier(onFault: (message: string) => void): ServiceNotifier {
  return createServiceNotifier({ runner: createProcessRunner(), environment: process.env, pid: process.pid, onFault });
}
