import { createHash } from 'node:crypto';
import { loadConfiguration, type LoadOptions } from '../config/load.ts';
import { loadSchedules, type ScheduleLocation } from '../config/schedules.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { Schedule } from '../domain/schedule/schedule.ts';
import { SpokeError } from '../errors.ts';
import { ConfiguredWork, type SharedParts } from './configured-work.ts';
import type { DaemonSetup } from './daemon.ts';

export interface SetupOptions {
  readonly load: LoadOptions;
  /** The folder of the schedules that ship. */
  readonly shippedSchedules: string;
  /** Only this cluster; all where it is not given. */
  readonly only?: string;
}

/** Reads the configuration and every schedule that it names. Throws CONFIG_INVALID, CONFIG_NOT_FOUND, USAGE. */
export async function loadDaemonSetup(options: SetupOptions, share: (configuration: Configuration) => SharedParts): Promise<DaemonSetup> {
  const configuration = await loadConfiguration(options.load);
  const shared = share(configuration);
  const location: ScheduleLocation = { configurationPath: configuration.path, shippedDirectory: options.shippedSchedules };
  const clusters = [];
  for (const cluster of clustersOf(configuration, options.only)) {
    const schedules = await loadSchedules(cluster, location);
    refuseDrills(cluster, schedules);
    clusters.push({ work: new ConfiguredWork(cluster, schedules, shared), fingerprint: fingerprintOf(configuration, cluster, schedules) });
  }
  const { maximumRuns, maximumRunsPerHost, gracePeriodSeconds } = configuration.daemon;
  return { clusters, limits: { inAll: maximumRuns, perHost: maximumRunsPerHost }, graceMs: gracePeriodSeconds * 1000 };
}

function clustersOf({ clusters }: Configuration, only: string | undefined): readonly ClusterConfig[] {
  if (only === undefined) return [...clusters.values()];
  const found = clusters.get(only);
  if (found !== undefined) return [found];
  throw new SpokeError('USAGE', `there is no cluster "${only}" in the configuration`, {
    hint: `There are: ${[...clusters.keys()].join(', ')}`,
  });
}

function refuseDrills({ name }: ClusterConfig, schedules: readonly Schedule[]): void {
  const drill = schedules.find(({ kind, suspended }) => kind === 'drill' && !suspended);
  if (drill === undefined) return;
  throw new SpokeError('CONFIG_INVALID', `the schedule ${drill.name} of cluster ${name} is a drill, and this version runs none yet`, {
    hint: `Leave ${drill.name} out of the schedules of ${name}.`,
  });
}

/** Changes whenever anything does that the cluster's actor has been given. Secrets are references in it. */
function fingerprintOf(configuration: Configuration, cluster: ClusterConfig, schedules: readonly Schedule[]): string {
  const { clusters: _clusters, ...rest } = configuration;
  const plain = (_key: string, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value instanceof Set || value instanceof Map ? [...value] : value;
  return createHash('sha256')
    .update(JSON.stringify([rest, cluster, schedules], plain))
    .digest('hex');
}
