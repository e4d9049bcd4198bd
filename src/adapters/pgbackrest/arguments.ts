import type { RecoveryTarget } from '../../domain/recovery/target.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatForPostgres } from '../../domain/time/instant.ts';
import type { AnnotateRequest, BackupRequest, ExpireBackupRequest, RestoreRequest } from '../../ports/backup-engine.ts';
import { confValue, shellWord } from './quoting.ts';
import type { PgbackrestSettings } from './settings.ts';

/** The annotation by which a run recognises its backup. */
export const RUN_ANNOTATION = 'spoke-run';
/** Read by commands that must not need, or leave, a file with secrets. */
const CONFIGURATION_ON_STDIN = '/dev/stdin';
/** The most that pgBackRest takes for repo-retention-full: more than there will ever be. */
const MOST_FULLS = 9_999_999;
const XID_MODULUS = 0x1_0000_0000n;

/**
 * pgBackRest waits for this four times a file before it calls a repository dead, and looks for two files: with its own 60 s that is
 * eight minutes until a restore tries another one.
 */
const READING_IO_TIMEOUT_SECONDS = 15;

/** WAL that is fetched ahead of replay, and lies beside the data until it is needed. */
const READ_AHEAD_BYTES = 256 * 1024 * 1024;
/** It waits that long for a process that fetches ahead, also for one that is just ending and fetches nothing more (60 s by default). */
const READ_AHEAD_PATIENCE_SECONDS = 15;

/** Everything that is logged goes to stderr, of which the tail is kept and each line is seen. */
const LOG_TO_STDERR = ['--log-level-console=off', '--log-level-stderr=detail'];
const QUIET = ['--log-level-console=off', '--log-level-stderr=error', '--log-level-file=off'];
/** Why a repository cannot be used is a warning only: it belongs into the log of the server that replays. */
const WITH_REASONS = ['--log-level-console=off', '--log-level-stderr=warn', '--log-level-file=off'];

function common(settings: PgbackrestSettings, configFile: string): string[] {
  return [`--config=${configFile}`, `--stanza=${settings.stanza}`];
}

/** Of what only reads a repository, without touching a file. */
function reading(settings: PgbackrestSettings, repository: number): string[] {
  return [...common(settings, CONFIGURATION_ON_STDIN), ...QUIET, ...patience(settings), `--repo=${repository}`];
}

function patience({ extraOptions }: PgbackrestSettings): string[] {
  return 'io-timeout' in extraOptions ? [] : [`--io-timeout=${READING_IO_TIMEOUT_SECONDS}`];
}

export function infoArguments(settings: PgbackrestSettings, repository: number, label?: string): string[] {
  return [...reading(settings, repository), '--output=json', ...(label === undefined ? [] : [`--set=${label}`]), 'info'];
}

export function repoListArguments(
  settings: PgbackrestSettings,
  repository: number,
  path: string,
  { recurse } = { recurse: true },
): string[] {
  return [...reading(settings, repository), ...(recurse ? ['--recurse'] : []), '--output=json', 'repo-ls', path];
}

export function repoGetArguments(settings: PgbackrestSettings, repository: number, path: string): string[] {
  return [...reading(settings, repository), 'repo-get', path];
}

export function verifyArguments(settings: PgbackrestSettings, repository: number): string[] {
  return [...common(settings, settings.configFile), ...LOG_TO_STDERR, `--repo=${repository}`, '--output=text', '--verbose', 'verify'];
}

export function stanzaCreateArguments(settings: PgbackrestSettings): string[] {
  return [...common(settings, settings.configFile), ...LOG_TO_STDERR, 'stanza-create'];
}

export function checkArguments(settings: PgbackrestSettings): string[] {
  return [...common(settings, settings.configFile), ...LOG_TO_STDERR, 'check'];
}

export function backupArguments(settings: PgbackrestSettings, repository: number, request: BackupRequest): string[] {
  return [
    ...common(settings, settings.configFile),
    ...LOG_TO_STDERR,
    `--repo=${repository}`,
    `--type=${request.type}`,
    `--annotation=${RUN_ANNOTATION}=${request.runId}`,
    'backup',
  ];
}

/** What pgBackRest itself would expire, by the days in the configuration. */
export function ownExpiryArguments(settings: PgbackrestSettings, repository: number): string[] {
  return dryRunOf([...common(settings, CONFIGURATION_ON_STDIN), ...LOG_TO_STDERR, `--repo=${repository}`, 'expire']);
}

/** The same `expire` as a look: it writes nothing, and needs no file. */
export function dryRunOf([, ...rest]: readonly string[]): string[] {
  return [`--config=${CONFIGURATION_ON_STDIN}`, '--log-level-file=off', '--dry-run', ...rest];
}

/** By its label alone: no backup goes by its age, and with more fulls to keep WAL for than there are, no WAL goes. */
export function expireBackupArguments(settings: PgbackrestSettings, repository: number, { label }: ExpireBackupRequest): string[] {
  return [...expiring(settings, repository), `--set=${label}`, 'expire'];
}

/**
 * WAL alone: of as many fulls as there are from the floor on all of it stays, of older ones what makes them consistent. By days
 * pgBackRest before 2.47 would take WAL only in a run that also takes a full backup; by count every version does.
 */
export function expireWalArguments(settings: PgbackrestSettings, repository: number, fullsFromFloor: number | string): string[] {
  const option = `--repo${repository}-retention-archive`;
  return [...expiring(settings, repository), `${option}-type=full`, `${option}=${fullsFromFloor}`, 'expire'];
}

function expiring(settings: PgbackrestSettings, repository: number): string[] {
  const option = `--repo${repository}-retention-full`;
  return [
    ...common(settings, settings.configFile),
    ...LOG_TO_STDERR,
    `--repo=${repository}`,
    `${option}-type=count`,
    `${option}=${MOST_FULLS}`,
  ];
}

export function annotateArguments(settings: PgbackrestSettings, repository: number, request: AnnotateRequest): string[] {
  return [
    ...common(settings, settings.configFile),
    ...LOG_TO_STDERR,
    `--repo=${repository}`,
    `--set=${request.label}`,
    `--annotation=${request.key}=${request.value}`,
    'annotate',
  ];
}

export function restoreArguments(settings: PgbackrestSettings, repository: number, request: RestoreRequest): string[] {
  return [
    ...common(settings, settings.configFile),
    ...LOG_TO_STDERR,
    '--log-level-file=off',
    ...patience(settings),
    `--repo=${repository}`,
    `--set=${request.label}`,
    `--pg1-path=${request.dataDirectory}`,
    ...ownDirectories(request.workDirectory),
    ...targetArguments(request),
    ...request.tablespaceMap.map(({ oid, location }) => `--tablespace-map=${oid}=${location}`),
    `--recovery-option=restore_command=${confValue(restoreCommand(settings, repository))}`,
    ...(request.resume ? ['--delta'] : []),
    'restore',
  ];
}

/**
 * restore_command of a standby whose cluster somebody else looks after: of every repository, in their order. pgBackRest's own exit codes are all
 * below 126, so a repository that is away does not end the standby; it streams, or asks again.
 */
export function recipeRestoreCommand(settings: PgbackrestSettings): string {
  const argv = [settings.command, ...common(settings, settings.configFile), '--no-archive-async', ...WITH_REASONS, ...patience(settings)];
  return `${argv.map(shellWord).join(' ')} ${OWN_DATA_DIRECTORY} archive-get %f "%p"`;
}

/** The newest backup of the first repository that has one, into what may be there already. */
export function standbyRestoreArguments(settings: PgbackrestSettings, dataDirectory: string): string[] {
  return [
    ...common(settings, settings.configFile),
    ...LOG_TO_STDERR,
    '--log-level-file=off',
    `--pg1-path=${dataDirectory}`,
    '--type=standby',
    '--delta',
    'restore',
  ];
}

/** The data directory of whichever server runs the command: PostgreSQL runs it there, and a shell knows where it is. */
const OWN_DATA_DIRECTORY = '--pg1-path="$PWD"';

/**
 * Synchronous, so that it needs neither spool nor lock; only the repository that was chosen, so that its window is what counts.
 * It names no data directory: the restored one is renamed into its place later and may still be recovering there.
 * pgBackRest exits with 1 for "not in the archive" and with more for trouble, which PostgreSQL would take for the end of the
 * archive all the same unless it is above 125: then recovery stops instead of ending early (RestoreArchivedFile, xlogarchive.c).
 */
export function restoreCommand(settings: PgbackrestSettings, repository: number): string {
  return `${plainArchiveGet(settings, repository)}; code=$?; test $code -le 1 || code=200; exit $code`;
}

/**
 * For a standby's every day. It asks again and again, and streams meanwhile: so trouble with the repository must not end the server, as anything
 * above 125 would, also while it is being promoted.
 */
export function standbyRestoreCommand(settings: PgbackrestSettings, repository: number): string {
  return `${plainArchiveGet(settings, repository)} || exit 1`;
}

function plainArchiveGet(settings: PgbackrestSettings, repository: number): string {
  return archiveGet(settings, repository, ['--no-archive-async', ...WITH_REASONS]);
}

/**
 * The same while the server is beside: segments are fetched ahead of replay, by processes of pgBackRest that outlive the command. Reading
 * ahead only ever saves time: whatever it does not come back with, for whatever reason, is asked for once more without it.
 */
export function replayRestoreCommand(
  settings: PgbackrestSettings,
  { repository, workDirectory }: { repository: number; workDirectory: string },
): string {
  const limits = [`--archive-get-queue-max=${READ_AHEAD_BYTES}`, `--archive-timeout=${READ_AHEAD_PATIENCE_SECONDS}`];
  const ahead = ['--archive-async', ...ownDirectories(workDirectory), ...limits, ...QUIET];
  return `${archiveGet(settings, repository, ahead)} || ${restoreCommand(settings, repository)}`;
}

/** Ends what still reads ahead, and lets it begin again: the first leaves a file that forbids it. */
export function endReadingAheadArguments(settings: PgbackrestSettings, workDirectory: string): readonly (readonly string[])[] {
  const of = [...common(settings, settings.configFile), ...QUIET, `--lock-path=${lockPathOf(workDirectory)}`];
  return [
    [...of, '--force', 'stop'],
    [...of, 'start'],
  ];
}

function archiveGet(settings: PgbackrestSettings, repository: number, options: readonly string[]): string {
  const argv = [settings.command, ...common(settings, settings.configFile), `--repo=${repository}`, ...options, ...patience(settings)];
  return `${argv.map(shellWord).join(' ')} ${OWN_DATA_DIRECTORY} archive-get %f "%p"`;
}

/** Restore empties the archive folder below the spool path, and newer versions take a lock: neither may be production's. */
function ownDirectories(workDirectory: string): readonly string[] {
  return [`--spool-path=${workDirectory}/spool`, `--lock-path=${lockPathOf(workDirectory)}`];
}

/** Where the locks of a restore lie. */
export function lockPathOf(workDirectory: string): string {
  return `${workDirectory}/lock`;
}

/**
 * The archive_command of PostgreSQL, the same on every node: after a promotion it archives from there. Its exit codes stay
 * below 126, above which PostgreSQL's archiver would die.
 */
export function archiveCommand(settings: PgbackrestSettings): string {
  const argv = [settings.command, ...common(settings, settings.configFile)];
  return `${argv.map(shellWord).join(' ')} ${OWN_DATA_DIRECTORY} archive-push %p`;
}

/** Of a segment that the streaming of WAL has received: at once, and without a data directory, whose server may be gone. */
export function pushSegmentArguments(settings: PgbackrestSettings, path: string): string[] {
  return [...common(settings, settings.configFile), ...LOG_TO_STDERR, '--no-archive-async', '--reset-pg1-path', 'archive-push', path];
}

function targetArguments({ target, timeline, targetAction, standby }: RestoreRequest): string[] {
  if (standby === true) return ['--type=standby', `--target-timeline=${timeline}`];
  const type = { time: 'time', lsn: 'lsn', xid: 'xid', name: 'name', immediate: 'immediate', latest: 'default' }[target.kind];
  const value = targetValue(target);
  const exclusive = 'inclusive' in target && !target.inclusive;
  return [
    `--type=${type}`,
    ...(value === undefined ? [] : [`--target=${value}`]),
    ...(exclusive ? ['--target-exclusive'] : []),
    ...(target.kind === 'latest' ? [] : [`--target-action=${targetAction}`]),
    // pgBackRest takes no timeline with this type, and PostgreSQL would follow the newest, which may not be the backup's.
    target.kind === 'immediate' ? `--recovery-option=recovery_target_timeline=${timeline}` : `--target-timeline=${timeline}`,
  ];
}

function targetValue(target: RecoveryTarget): string | undefined {
  switch (target.kind) {
    case 'time':
      return formatForPostgres(target.time);
    case 'lsn':
      return formatLsn(target.lsn);
    case 'xid':
      return String(target.xid % XID_MODULUS);
    case 'name':
      return confValue(target.name);
    case 'immediate':
    case 'latest':
      return undefined;
  }
}
