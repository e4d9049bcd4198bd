import type { ClusterConfig } from '../../config/model.ts';
import { recoveryWindows, type RecoveryWindow, type WalGap } from '../../domain/recovery/window.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { BaseBackup } from '../../domain/catalog/base-backup.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { type NodeObservation, observeNodes, observeRepositories, type RepositoryObservations } from '../observe-cluster.ts';

export interface RepositoryStatus {
  readonly repository: string;
  readonly kind: 'local' | 's3';
  /** Why it could not be read; absent where it could. */
  readonly unreadable?: string;
  readonly windows: readonly RecoveryWindow[];
  readonly gaps: readonly WalGap[];
  readonly lastBackup?: BaseBackup;
}

export interface ClusterStatus {
  readonly now: Instant;
  readonly nodes: readonly NodeObservation[];
  readonly repositories: readonly RepositoryStatus[];
  /** From the earliest instant that any repository reaches to the latest. */
  readonly recoverable?: { readonly from: Instant; readonly to: Instant | undefined };
  readonly hasGaps: boolean;
}

/** Looks at everything; changes nothing. */
export async function observeStatus(cluster: ClusterConfig, ports: ReadPorts, context: OperationContext): Promise<ClusterStatus> {
  const [nodes, repositories] = await Promise.all([
    observeNodes(cluster, ports, context),
    observeRepositories(cluster, undefined, { walArchive: true }, ports, context),
  ]);
  return statusOf(ports.clock.now(), nodes, repositories);
}

/** Pure. */
export function statusOf(
  now: Instant,
  nodes: readonly NodeObservation[],
  { snapshots, unreadable }: RepositoryObservations,
): ClusterStatus {
  const read = snapshots.map((snapshot): RepositoryStatus => {
    const lastBackup = snapshot.backups.at(-1);
    return {
      repository: snapshot.repository,
      kind: snapshot.kind,
      ...recoveryWindows(snapshot),
      ...(lastBackup === undefined ? {} : { lastBackup }),
    };
  });
  const unread = unreadable.map(
    (one): RepositoryStatus => ({ repository: one.repository, kind: one.kind, unreadable: one.message, windows: [], gaps: [] }),
  );
  const windows = read.flatMap((repository) => repository.windows);
  const recoverable = windows.length === 0 ? {} : { recoverable: { from: earliest(windows), to: latest(windows) } };
  return { now, nodes, repositories: [...read, ...unread], ...recoverable, hasGaps: read.some((repository) => repository.gaps.length > 0) };
}

function earliest(windows: readonly RecoveryWindow[]): Instant {
  return windows.map((window) => window.from).reduce((a, b) => (a < b ? a : b));
}

function latest(windows: readonly RecoveryWindow[]): Instant | undefined {
  return windows.map((window) => window.to).reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a));
}
