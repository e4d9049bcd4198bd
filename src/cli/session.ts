import { hostname, userInfo } from 'node:os';
import { composeCluster, type ComposedCluster, type ComposeOptions } from '../composition.ts';
import { loadConfiguration } from '../config/load.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { RunTrigger } from '../domain/schedule/trigger.ts';
import { SpokeError } from '../errors.ts';
import type { RunHeader, RunId, RunVerb } from '../ports/run-store.ts';
import type { ChangingOptions, CommandContext, GlobalOptions } from './command-context.ts';
import { waitMsOf } from './wait.ts';

/** One command on one cluster: its configuration and everything that reaches it. */
export interface Session extends ComposedCluster {
  readonly configuration: Configuration;
  readonly cluster: ClusterConfig;
  /** How long a run may queue behind others; undefined: not at all. */
  readonly waitMs?: number;
}

/** Loads the configuration, finds the cluster that is meant and connects the parts. Changes nothing. What only reads repositories need not ask for the primary. */
export async function openSession(
  options: GlobalOptions & Pick<ChangingOptions, 'wait'>,
  context: CommandContext,
  compose: ComposeOptions = { askForPrimary: true },
): Promise<Session> {
  const waitMs = waitMsOf(options.wait);
  const configuration = await loadConfiguration(loadOptions(options));
  const cluster = clusterOf(configuration, options.cluster);
  const composed = await composeCluster(configuration, cluster, context.signal, compose);
  return { configuration, cluster, ...composed, ...(waitMs !== undefined && { waitMs }) };
}

export function loadOptions(options: GlobalOptions) {
  return {
    path: options.config,
    environment: process.env,
    flags: { stateDirectory: options.stateDirectory, timezone: options.timezone },
  };
}

/** The cluster that is meant. Throws USAGE. */
export function clusterOf(configuration: Configuration, name: string | undefined): ClusterConfig {
  const names = [...configuration.clusters.keys()];
  const wanted = name ?? (names.length === 1 ? names[0] : undefined);
  const cluster = wanted === undefined ? undefined : configuration.clusters.get(wanted);
  if (cluster !== undefined) return cluster;
  throw new SpokeError(
    'USAGE',
    name === undefined
      ? `the configuration has ${names.length} clusters: which one?`
      : `there is no cluster "${name}" in the configuration`,
    {
      details: { clusters: names },
      hint: `Name it: --cluster ${names.join(' | ')}`,
    },
  );
}

/** The same cluster, put together for whoever is primary now. */
export async function recompose(session: Session, { signal }: CommandContext): Promise<Session> {
  return { ...session, ...(await composeCluster(session.configuration, session.cluster, signal, { askForPrimary: true })) };
}

/** A repository of the cluster by its name. Throws USAGE. */
export function repositoryNamed(cluster: ClusterConfig, name: string): RepositoryName {
  const found = cluster.repositories.find((repository) => repository.name === name);
  if (found !== undefined) return found.name;
  const names = cluster.repositories.map((repository) => repository.name);
  throw new SpokeError('USAGE', `cluster ${cluster.name} has no repository "${name}"`, { hint: `Known are: ${names.join(', ')}` });
}

/** The header of a new run. */
export function newRunHeader(
  session: Session,
  verb: RunVerb,
  intent: unknown,
  version: string,
  runId: RunId,
  trigger: RunTrigger = { kind: 'manual' },
): RunHeader {
  return {
    runId,
    verb,
    cluster: session.cluster.name,
    startedAt: session.ports.clock.now(),
    host: hostname(),
    user: userInfo().username,
    programVersion: version,
    trigger,
    intent,
  };
}
