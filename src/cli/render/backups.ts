import { formatBytes } from '../../domain/bytes.ts';
import type { BaseBackup } from '../../domain/catalog/base-backup.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import { formatInstantIso, formatInstantUtc, secondsBetween } from '../../domain/time/instant.ts';
import { renderTable } from './table.ts';

/** One line a backup. */
export function renderBackups(backups: readonly BaseBackup[]): string {
  if (backups.length === 0) return 'no backups';
  return renderTable(
    ['REPO', 'LABEL', 'TYPE', 'FINISHED', 'TOOK', 'DATABASE', 'STORED', 'WAL FROM', 'TIMELINE', 'STATE'],
    backups.map((backup) => [
      backup.repository,
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
export function backupToJson(backup: BaseBackup) {
  return {
    label: backup.label,
    repository: backup.repository,
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
