import type { ClusterConfig } from '../../config/model.ts';
import { withStreamedWal } from '../../domain/catalog/archive-with-tail.ts';
import type { BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../../domain/catalog/repository-snapshot.ts';
import { explainGap, type GapCause } from '../../domain/recovery/gap-cause.ts';
import { recoveryWindows, type RecoveryWindow, type WalGap } from '../../domain/recovery/window.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { observeRepositories } from '../observe-cluster.ts';

export type ExplainedGap = WalGap & { readonly segments: number; readonly bytes: bigint; readonly cause: GapCause };

/** To where one repository can bring the cluster back. */
export interface RepositoryWindows {
  readonly repository: RepositoryName;
  readonly kind: 'local' | 's3';
  readonly windows: readonly RecoveryWindow[];
  readonly gaps: readonly ExplainedGap[];
  readonly backups: readonly BaseBackup[];
}

export interface ClusterWindows {
  readonly now: Instant;
  readonly repositories: readonly RepositoryWindows[];
  readonly unreadable: readonly UnreadableRepository[];
}

/** Reads backups and the listing of the WAL archive, of one repository or of all. `repository`: only that one is told of. */
export async function observeWindows(
  cluster: ClusterConfig,
  repository: RepositoryName | undefined,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ClusterWindows> {
  const { snapshots, unreadable } = await observeRepositories(cluster, undefined, { walArchive: true }, ports, context);
  const isMeant = (one: { readonly repository: RepositoryName }) => repository === undefined || one.repository === repository;
  const streamed = snapshots.map(withStreamedWal);
  return {
    now: ports.clock.now(),
    repositories: streamed.filter(isMeant).map((snapshot) => windowsOf(snapshot, streamed)),
    unreadable: unreadable.filter(isMeant),
  };
}

function windowsOf(snapshot: RepositorySnapshot, all: readonly RepositorySnapshot[]): RepositoryWindows {
  const { repository, kind, backups, walArchive } = snapshot;
  const { windows, gaps } = recoveryWindows(snapshot);
  const explained = gaps.map((gap): ExplainedGap | undefined =>
    walArchive === undefined ? undefined : { ...gap, bytes: gap.toLsn - gap.fromLsn, ...explainGap(gap, walArchive, all) },
  );
  return { repository, kind, backups, windows, gaps: explained.filter((gap) => gap !== undefined) };
}
