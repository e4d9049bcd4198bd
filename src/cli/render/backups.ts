import { formatBytes } from '../../domain/bytes.ts';
import type { ClusterConfig, EngineName } from '../../config/model.ts';
import type { BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import { formatInstantIso, formatInstantUtc, secondsBetween } from '../../domain/time/instant.ts';
import { renderTable } from './table.ts';

/** What keeps a repository. */
export type EngineOf = (repository: RepositoryName) => EngineName | undefined;

export function enginesOf({ repositories }: Pick<ClusterConfig, 'repositories'>): EngineOf {
  return (repository) => repositories.find(({ name }) => name === repository)?.engine;
}

/** One line a backup. */
export function renderBackups(backups: readonly BaseBackup[], engineOf: EngineOf): string {
  if (backups.length === 0) return 'no backups';
  return renderTable(
    ['REPO', 'ENGINE', 'LABEL', 'TYPE', 'FINISHED', 'TOOK', 'DATABASE', 'STORED', 'WAL FROM', 'TIMELINE', 'STATE'],
    backups.map((backup) => [
      backup.repository,
      engineOf(backup.repository) ?? '',
      backup.label,
      backup.type,
      formatInstantUtc(backup.stopTime),
      formatDuration(secondsBetween(backup.startTime, backup.stopTime)),
      formatBytes(backup.databaseBytes),
      formatBytes(backup.repositoryBytes),
      formatLsn(backup.startLsn),
      String(backup.timeline),
      backup.hasPageErrors ? 'page errors' : 'ok',
    ]),
  );
}

/** A backup as JSON. */
export function backupToJson(backup: BaseBackup, engineOf: EngineOf) {
  return {
    label: backup.label,
    repository: backup.repository,
    engine: engineOf(backup.repository) ?? null,
    type: backup.type,
    prior: backup.prior ?? null,
    startTime: formatInstantIso(backup.startTime),
    stopTime: formatInstantIso(backup.stopTime),
    startLsn: formatLsn(backup.startLsn),
    stopLsn: formatLsn(backup.stopLsn),
    timeline: backup.timeline,
    postgresMajor: backup.postgresMajor,
    systemIdentifier: String(backup.systemIdentifier),
    databaseBytes: Number(backup.databaseBytes),
    repositoryBytes: Number(backup.repositoryBytes),
    hasPageErrors: backup.hasPageErrors,
    annotations: backup.annotations,
  };
}
