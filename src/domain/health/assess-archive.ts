import type { RepositoryName } from '../catalog/base-backup.ts';
import { formatInstantUtc } from '../time/instant.ts';
import type { ArchiveFacts } from './archive-facts.ts';
import { objectiveFindings, settingsFindings, stateFindings } from './archive-findings.ts';
import { archiveStates, type RepositoryArchive } from './archive-state.ts';
import { type DiskForecast, forecastDisk } from './disk-forecast.ts';
import type { HealthFinding } from './finding.ts';
import { foreignWalFindings } from './foreign-wal.ts';
import { type StreamingHealth, streamingHealth } from './streaming-findings.ts';
import { diskFindings, slotFindings } from './wal-disk-findings.ts';

/** A backup that the archive calls for: without it what is committed from now on cannot be recovered. */
export interface DueBackup {
  readonly repository: RepositoryName;
  readonly reason: string;
  /** Why it would fail now: no WAL reaches the repository. */
  readonly blockedBy?: string;
}

/** How the archive is, and what follows from it. */
export interface ArchiveAssessment {
  readonly repositories: readonly RepositoryArchive[];
  /** What is critical first. */
  readonly findings: readonly HealthFinding[];
  readonly backupsDue: readonly DueBackup[];
  /** Of the file system under pg_wal. */
  readonly disk: DiskForecast;
  /** What of streaming is known to be as it should be. */
  readonly streamingWell: StreamingHealth['well'];
}

/**
 * Compares what PostgreSQL believes archived with what each repository really holds. pg_stat_archiver alone lies: WAL that a
 * queue limit dropped counts as archived. Pure.
 */
export function assessArchive(facts: ArchiveFacts): ArchiveAssessment {
  const { primary } = facts;
  const repositories = archiveStates(facts);
  const disk = forecastDisk(spaceSamples(facts));
  const ofStates = repositories.flatMap((one) => stateFindings(one, facts));
  const ofPrimary =
    primary === undefined
      ? []
      : [
          ...settingsFindings(primary, facts),
          ...foreignWalFindings(primary, facts),
          ...diskFindings(primary, disk, repositories, facts),
          ...slotFindings(primary, facts.streaming?.slot),
        ];
  const streamed = streamingHealth(facts);
  const findings = [...ofStates, ...streamed.findings, ...objectiveFindings(repositories, facts), ...ofPrimary];
  return {
    repositories,
    findings: criticalFirst(findings),
    backupsDue: repositories.flatMap(dueBackup),
    disk,
    streamingWell: streamed.well,
  };
}

function spaceSamples({ samples, primary, now }: ArchiveFacts) {
  const all = [...samples.map(({ at, walFreeBytes }) => ({ at, walFreeBytes })), { at: now, walFreeBytes: primary?.walFreeBytes }];
  return all.flatMap(({ at, walFreeBytes }) => (walFreeBytes === undefined ? [] : [{ at, freeBytes: walFreeBytes }]));
}

function dueBackup({ repository, archive }: RepositoryArchive): DueBackup[] {
  if (archive.state !== 'gap') return [];
  const { recoverableUntil, blockedBy } = archive;
  const until =
    recoverableUntil === undefined
      ? ''
      : `, what was committed after ${formatInstantUtc(recoverableUntil, { fraction: 'none' })} cannot be recovered`;
  const reason = `WAL ${archive.firstMissing} to ${archive.lastMissing} is missing in ${repository}${until}`;
  return [{ repository, reason, ...(blockedBy === undefined ? {} : { blockedBy }) }];
}

function criticalFirst(findings: readonly HealthFinding[]): readonly HealthFinding[] {
  return findings.toSorted((left, right) => Number(left.severity === 'warning') - Number(right.severity === 'warning'));
}
