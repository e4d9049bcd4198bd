import { formatBytes } from '../bytes.ts';
import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, secondsBetween } from '../time/instant.ts';
import { archives } from './acknowledged.ts';
import type { ArchiveFacts, ArchivingPrimary } from './archive-facts.ts';
import type { ArchiveState, RepositoryArchive } from './archive-state.ts';
import type { HealthFinding } from './finding.ts';
import { streamedExposureSeconds } from './streaming-findings.ts';

/** What is said of the state of one repository; nothing of a healthy one. */
export function stateFindings({ repository, archive }: RepositoryArchive, facts: ArchiveFacts): readonly HealthFinding[] {
  const about = { repository, evidence: evidenceOf(facts) };
  switch (archive.state) {
    case 'healthy':
      return [];
    case 'unknown':
      return [
        {
          ...about,
          code: 'archive-unknown',
          severity: 'warning',
          message: `whether WAL reaches repository ${repository} is not known`,
          cause: archive.reason,
          nextCommand: 'spoke-backup status',
        },
      ];
    case 'lagging':
      return [
        {
          ...about,
          code: 'archive-lagging',
          severity: 'warning',
          message: `repository ${repository} is behind: ${describeState(archive)}`,
          ...whyBehind(repository, facts),
        },
      ];
    case 'failing':
      return [
        {
          ...about,
          code: isOff(facts.primary) ? 'archive-off' : 'archive-failing',
          severity: 'critical',
          message: `no WAL reaches repository ${repository}: ${describeState(archive)}`,
          cause: archive.lastError,
          nextCommand: 'spoke-backup setup archiving --dry-run',
        },
      ];
    case 'gap':
      return [gapFinding(repository, archive, about.evidence)];
  }
}

/** What was acknowledged and waits for us is brought on by nobody else. */
function whyBehind(repository: RepositoryArchive['repository'], { held = [] }: ArchiveFacts): Pick<HealthFinding, 'cause' | 'nextCommand'> {
  const waitsForUs = held.some((one) => one.repository === repository && one.queue.count > 0);
  return waitsForUs
    ? {
        cause:
          'It is archived on this host and waits to be brought there, which the daemon does; no daemon runs here, or the repository is slow.',
        nextCommand: 'spoke-backup daemon',
      }
    : { cause: 'WAL is written faster than it is archived, or one attempt takes long.', nextCommand: 'spoke-backup status' };
}

function gapFinding(
  repository: RepositoryArchive['repository'],
  archive: Extract<ArchiveState, { state: 'gap' }>,
  evidence: readonly string[],
): HealthFinding {
  const { recoverableUntil, blockedBy } = archive;
  const until = recoverableUntil === undefined ? 'its newest backup' : formatInstantUtc(recoverableUntil, { fraction: 'none' });
  return {
    code: 'archive-gap',
    severity: 'critical',
    repository,
    message: `WAL is missing in repository ${repository} for good: what was committed after ${until} cannot be recovered from it until a new backup`,
    evidence: [`missing: ${archive.firstMissing} to ${archive.lastMissing}, and PostgreSQL counts it as archived`, ...evidence],
    cause: 'It was dropped (archive-push-queue-max), archive_command lied, or the file was removed from the repository.',
    nextCommand:
      blockedBy === undefined ? `spoke-backup backup --type incr --repo ${repository}` : 'spoke-backup setup archiving --dry-run',
  };
}

function isOff(primary: ArchivingPrimary | undefined): boolean {
  return primary !== undefined && !archives(primary);
}

/** What PostgreSQL itself says of its archiver. */
function evidenceOf({ primary }: ArchiveFacts): readonly string[] {
  if (primary === undefined) return [];
  const { archiver, queue } = primary;
  return [
    `pg_stat_archiver: last archived ${archiver.lastArchivedWal ?? 'nothing'}, last failed ${archiver.lastFailedWal ?? 'nothing'}`,
    ...(queue === undefined ? [] : [`waiting in pg_wal: ${queue.count} files`]),
  ];
}

/** A state in a few words, for people: `lagging 4m05s, 320 MiB`. */
export function describeState(archive: ArchiveState): string {
  switch (archive.state) {
    case 'healthy':
    case 'unknown':
      return archive.state;
    case 'lagging': {
      const bytes = formatBytes(archive.bytes);
      return archive.seconds === undefined ? `lagging ${bytes}` : `lagging ${formatDuration(archive.seconds)}, ${bytes}`;
    }
    case 'failing':
      return archive.since === undefined ? 'failing' : `failing since ${formatInstantUtc(archive.since, { fraction: 'none' })}`;
    case 'gap':
      return `gap ${archive.firstMissing}${archive.lastMissing === archive.firstMissing ? '' : ` to ${archive.lastMissing}`}`;
  }
}

/** Where the server is set otherwise than `setup archiving` would set it. */
export function settingsFindings(primary: ArchivingPrimary, facts: ArchiveFacts): readonly HealthFinding[] {
  return [...commandFinding(primary, facts), ...timeoutFinding(primary, facts)];
}

function commandFinding(primary: ArchivingPrimary, { expectedArchiveCommand }: ArchiveFacts): readonly HealthFinding[] {
  const { archiveCommand } = primary.settings;
  if (expectedArchiveCommand === undefined || archiveCommand === undefined || !archives(primary)) return [];
  if (archiveCommand === expectedArchiveCommand) return [];
  return [
    {
      code: 'archive-command-changed',
      severity: 'warning',
      message: `archive_command on ${primary.node} is not what spoke-backup sets`,
      evidence: [`archive_command: ${archiveCommand}`, `expected: ${expectedArchiveCommand}`],
      cause: 'It was changed by hand, or the configuration of spoke-backup was.',
      nextCommand: 'spoke-backup setup archiving --dry-run',
    },
  ];
}

function timeoutFinding(primary: ArchivingPrimary, { rpoSeconds, streaming }: ArchiveFacts): readonly HealthFinding[] {
  const timeout = primary.settings.archiveTimeoutSeconds;
  if (timeout === undefined || !archives(primary)) return [];
  if (timeout > 0 && (rpoSeconds === undefined || timeout <= rpoSeconds || streaming !== undefined)) return [];
  const promised = rpoSeconds === undefined ? [] : [`objective: ${rpoSeconds} s`];
  return [
    {
      code: 'archive-timeout-too-long',
      severity: 'warning',
      message: `archive_timeout on ${primary.node} does not bound what can be lost`,
      evidence: [`archive_timeout: ${timeout === 0 ? 'off' : `${timeout} s`}`, ...promised],
      cause: 'A segment is archived when it is full, or after archive_timeout.',
      nextCommand: 'spoke-backup setup archiving --dry-run',
    },
  ];
}

/** Where no repository has what the objective promises. */
export function objectiveFindings(repositories: readonly RepositoryArchive[], facts: ArchiveFacts): readonly HealthFinding[] {
  const { rpoSeconds } = facts;
  if (rpoSeconds === undefined) return [];
  const exposures = repositories.map(({ repository, archive }) =>
    leastOf(exposedSeconds(archive, facts), streamedExposureSeconds(repository, facts)),
  );
  const known = exposures.filter((seconds) => seconds !== undefined);
  const least = Math.min(...known);
  if (known.length === 0 || least <= rpoSeconds) return [];
  return [
    {
      code: 'rpo-missed',
      severity: 'critical',
      message: `the last ${formatDuration(least)} would be lost with the server; the objective is ${formatDuration(rpoSeconds)}`,
      evidence: repositories.map(({ repository, archive }) => `${repository}: ${describeState(archive)}`),
      cause: 'WAL that is in no repository is lost with pg_wal.',
      nextCommand: 'spoke-backup status',
    },
  ];
}

function leastOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || (other !== undefined && other < one) ? other : one;
}

/** How much time of commits a repository lacks; undefined where that is not known. */
function exposedSeconds(archive: ArchiveState, { now, primary }: ArchiveFacts): number | undefined {
  switch (archive.state) {
    case 'healthy':
      return 0;
    case 'lagging':
      return archive.seconds;
    case 'failing': {
      const since = primary?.queue?.waiting[0]?.since ?? archive.since;
      return archive.bytes === undefined || since === undefined ? undefined : secondsBetween(since, now);
    }
    case 'gap':
      return archive.recoverableUntil === undefined ? undefined : secondsBetween(archive.recoverableUntil, now);
    case 'unknown':
      return undefined;
  }
}
