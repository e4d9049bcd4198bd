import type { ClusterConfig } from '../../config/model.ts';
import { assessArchive } from '../../domain/health/assess-archive.ts';
import type { ArchiveFacts } from '../../domain/health/archive-facts.ts';
import type { ArchiveState } from '../../domain/health/archive-state.ts';
import type { HealthFinding } from '../../domain/health/finding.ts';
import type { PatroniSighting } from '../../domain/patroni/view.ts';
import type { Pooler } from '../../domain/pgbouncer/pooler.ts';
import { recoveryWindows, type RecoveryWindow, type WalGap } from '../../domain/recovery/window.ts';
import { nextOccurrence } from '../../domain/schedule/occurrences.ts';
import type { Schedule } from '../../domain/schedule/schedule.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { PrimaryPosition, ReplicationLag } from '../../domain/topology/lag.ts';
import type { Topology } from '../../domain/topology/topology.ts';
import { withStreamedWal } from '../../domain/catalog/archive-with-tail.ts';
import type { BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { WalTail } from '../../domain/catalog/wal-tail.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { type NodeObservation, observeRepositories, type RepositoryObservations } from '../observe-cluster.ts';
import { lagsOf, observeTopology } from '../observe-topology.ts';
import { archiveFacts, observePrimaryWal, type WatchOptions } from '../watch/observe.ts';
import { observePatroni } from '../patroni/observe.ts';
import { observePoolers } from './poolers.ts';
import { type SlotStatus, slotsOf } from './slots.ts';

export interface RepositoryStatus {
  readonly repository: RepositoryName;
  readonly kind: 'local' | 's3';
  /** Why it could not be read; absent where it could. */
  readonly unreadable?: string;
  /** How the primary's WAL gets there. */
  readonly archive: ArchiveState;
  readonly windows: readonly RecoveryWindow[];
  readonly gaps: readonly WalGap[];
  readonly lastBackup?: BaseBackup;
  /** What was streamed beside the archive. */
  readonly tail?: WalTail;
}

export interface NextRun {
  readonly schedule: string;
  readonly kind: Schedule['kind'];
  readonly type?: Schedule['type'];
  /** Absent where the schedule is suspended, or is never due again. */
  readonly at?: Instant;
}

export interface ClusterStatus {
  readonly now: Instant;
  readonly nodes: readonly NodeObservation[];
  readonly topology: Topology;
  /** By the names of the standbys. */
  readonly lags: ReadonlyMap<string, ReplicationLag>;
  readonly slots: readonly SlotStatus[];
  readonly poolers: readonly Pooler[];
  /** Absent where Patroni does not manage the cluster. */
  readonly patroni?: PatroniSighting;
  /** In the order of the configuration. */
  readonly nextRuns: readonly NextRun[];
  readonly repositories: readonly RepositoryStatus[];
  /** From the earliest instant that any repository reaches to the latest. */
  readonly recoverable?: { readonly from: Instant; readonly to: Instant | undefined };
  readonly hasGaps: boolean;
  /** What is critical first. */
  readonly findings: readonly HealthFinding[];
}

/** What whoever asks for the status brings with. */
export interface StatusOptions extends Partial<WatchOptions> {
  readonly expectedArchiveCommand: string | undefined;
  /** Absent: nothing is said of what comes next. */
  readonly schedules?: readonly Schedule[];
  /** Where the primary was at earlier looks, on the timeline that it still has. */
  readonly positions?: readonly PrimaryPosition[];
}

/** Looks at everything; changes nothing. The servers first: what they believe archived must be in the listings that follow. */
export async function observeStatus(
  cluster: ClusterConfig,
  options: StatusOptions,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ClusterStatus> {
  const { nodes, topology } = await observeTopology(cluster, ports, context);
  const held = await ports.catalog.readHeldWal();
  const [primary, poolers, patroni, repositories] = await Promise.all([
    observePrimaryWal(nodes, ports, context),
    observePoolers(cluster, ports, context),
    observePatroni(cluster, ports, context),
    observeRepositories(cluster, undefined, { walArchive: true }, ports, context),
  ]);
  const pushErrors = await ports.catalog.readPushErrors();
  const now = ports.clock.now();
  const facts = archiveFacts(cluster, { now, nodes, primary, repositories, pushErrors, held }, { samples: [], ...options });
  return {
    ...statusOf(nodes, repositories, facts),
    topology,
    lags: lagsOf(topology, options.positions),
    slots: slotsOf(topology, facts),
    poolers,
    ...(patroni === undefined ? {} : { patroni }),
    nextRuns: (options.schedules ?? []).map((schedule) => nextRunOf(schedule, now)),
  };
}

function nextRunOf(schedule: Schedule, now: Instant): NextRun {
  const at = schedule.suspended ? undefined : nextOccurrence(schedule, now);
  const { name, kind, type } = schedule;
  return { schedule: name, kind, ...(type === undefined ? {} : { type }), ...(at === undefined ? {} : { at }) };
}

/** What is seen of backups and WAL. */
type RepositoriesStatus = Omit<ClusterStatus, 'topology' | 'lags' | 'slots' | 'poolers' | 'patroni' | 'nextRuns'>;

/** Pure. */
function statusOf(
  nodes: readonly NodeObservation[],
  { snapshots, unreadable }: RepositoryObservations,
  facts: ArchiveFacts,
): RepositoriesStatus {
  const { repositories, findings } = assessArchive(facts);
  const archiveOf = (name: string): ArchiveState =>
    repositories.find(({ repository }) => repository === name)?.archive ?? { state: 'unknown', reason: 'it was not looked at' };
  const read = snapshots.map((snapshot): RepositoryStatus => {
    const lastBackup = snapshot.backups.at(-1);
    return {
      repository: snapshot.repository,
      kind: snapshot.kind,
      archive: archiveOf(snapshot.repository),
      ...recoveryWindows(withStreamedWal(snapshot)),
      ...(snapshot.tail === undefined ? {} : { tail: snapshot.tail }),
      ...(lastBackup === undefined ? {} : { lastBackup }),
    };
  });
  const unread = unreadable.map(({ repository, kind, message }): RepositoryStatus => {
    return { repository, kind, unreadable: message, archive: archiveOf(repository), windows: [], gaps: [] };
  });
  const windows = read.flatMap((repository) => repository.windows);
  const recoverable = windows.length === 0 ? {} : { recoverable: { from: earliest(windows), to: latest(windows) } };
  const hasGaps = read.some((repository) => repository.gaps.length > 0);
  return { now: facts.now, nodes, repositories: [...read, ...unread], ...recoverable, hasGaps, findings };
}

function earliest(windows: readonly RecoveryWindow[]): Instant {
  return windows.map((window) => window.from).reduce((a, b) => (a < b ? a : b));
}

function latest(windows: readonly RecoveryWindow[]): Instant | undefined {
  return windows.map((window) => window.to).reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a));
}
