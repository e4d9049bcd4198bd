import { composeCluster } from '../composition.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import { scheduledType } from '../domain/schedule/engine-facts.ts';
import type { Schedule } from '../domain/schedule/schedule.ts';
import { observeEngines, observeServers, onlyPrimary } from '../workflows/observe-cluster.ts';
import { engineFactsOf } from '../workflows/schedule/observe.ts';

/** What becomes of a schedule in a repository whose engine cannot take what it asks for. */
export interface Becoming {
  readonly repository: RepositoryName;
  readonly type: 'full' | 'nothing';
}

/**
 * Tells beforehand which scheduled incrementals become something else, as far as servers and repositories answer now. Where no repository is
 * native nobody is asked.
 */
export async function observeBecomings(
  configuration: Configuration,
  cluster: ClusterConfig,
  schedules: readonly Schedule[],
  signal: AbortSignal,
): Promise<(schedule: Schedule) => readonly Becoming[]> {
  const isAsked = schedules.some(({ type }) => type === 'incr' || type === 'diff');
  const native = cluster.repositories.filter(({ engine }) => engine === 'native').map(({ name }) => name);
  if (!isAsked || native.length === 0) return () => [];
  try {
    const { ports } = await composeCluster(configuration, cluster, signal, { askForPrimary: false });
    const context = { signal };
    const [{ versions }, nodes] = await Promise.all([
      observeEngines(cluster, native, ports, context),
      observeServers(cluster, ports, context),
    ]);
    const server = onlyPrimary(nodes)?.server;
    return ({ type, repositories }) =>
      repositories.flatMap((repository) => {
        const version = versions.get(repository);
        if (type === undefined || version === undefined) return [];
        const becomes = scheduledType(type, engineFactsOf(version, server, cluster.native.withoutIncremental)) ?? 'nothing';
        return becomes === type || (becomes !== 'full' && becomes !== 'nothing') ? [] : [{ repository, type: becomes }];
      });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return () => [];
  }
}
