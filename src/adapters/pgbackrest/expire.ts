import type { BackupLabel } from '../../domain/catalog/base-backup.ts';
import type { OwnExpiry } from '../../domain/retention/policy.ts';
import { SpokeError } from '../../errors.ts';
import type { ExpireBackupRequest, ExpireWalRequest } from '../../ports/backup-engine.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { dryRunOf, expireBackupArguments, expireWalArguments, ownExpiryArguments } from './arguments.ts';
import { type FullBackup, readFullBackups } from './catalog-reader.ts';
import { type CommandParts, runReading, runWorking } from './command.ts';
import type { RepositorySettings } from './settings.ts';

/** What an `expire` says that it removes, with --dry-run that it would. */
export interface ExpireReport {
  readonly backups: readonly BackupLabel[];
  readonly walFloors: readonly BackupLabel[];
}

/** `expire full backup`, `expire time-based backup set`, `expire adhoc backup set` … with their labels. */
const EXPIRED = /: expire (?:\S+ )?backup (?:set )?(\d{8}-\d{6}F.*)$/;
/** Without a `stop` it is the backup from which on all WAL is kept. */
const FLOOR = /archive retention on backup (\S+), start = [0-9A-F]{24}$/;

/** Reads the log of an `expire`, at level detail. */
export function readExpireReport(lines: readonly string[]): ExpireReport {
  const labels = lines.flatMap((line) => EXPIRED.exec(line.trimEnd())?.[1]?.split(', ') ?? []);
  const floors = lines.flatMap((line) => FLOOR.exec(line.trimEnd())?.[1] ?? []);
  return { backups: labels as BackupLabel[], walFloors: floors as BackupLabel[] };
}

/** `expire --dry-run`, by the days in the configuration. */
export async function readOwnExpiry(parts: CommandParts, repository: RepositorySettings, context: OperationContext): Promise<OwnExpiry> {
  return lookAhead(parts, repository, ownExpiryArguments(parts.settings, repository.index), context);
}

/** Removes one backup with its dependents, after a look that it takes no others. Throws PLAN_STALE. */
export async function expireBackup(
  parts: CommandParts,
  repository: RepositorySettings,
  request: ExpireBackupRequest,
  context: OperationContext,
): Promise<void> {
  const argv = expireBackupArguments(parts.settings, repository.index, request);
  const { backups } = await lookAhead(parts, repository, dryRunOf(argv), context);
  const unwanted = backups.filter((label) => label !== request.label && !request.dependents.includes(label));
  if (unwanted.length > 0)
    throw new SpokeError('PLAN_STALE', `with ${request.label} pgbackrest would also expire ${unwanted.join(', ')}: nothing was expired`);
  // Gone already: pgBackRest warns of a backup that it does not know.
  if (backups.length > 0) await runWorking(parts, argv, { repository }, context);
}

/** Removes WAL, after a look that it keeps all from the floor on and takes no backup. Throws PLAN_STALE. */
export async function expireWal(
  parts: CommandParts,
  repository: RepositorySettings,
  { floor }: ExpireWalRequest,
  context: OperationContext,
): Promise<void> {
  const fulls = await readFullBackups(parts, repository, context);
  const place = fulls.findIndex(({ label }) => label === floor);
  if (place < 0) throw new SpokeError('PLAN_STALE', `repository ${repository.name} has no full backup ${floor} any more`);
  const argv = expireWalArguments(parts.settings, repository.index, fulls.length - place);
  const { backups, walFloors } = await lookAhead(parts, repository, dryRunOf(argv), context);
  if (backups.length > 0 || walFloors.some((label) => isAboveFloor(label, fulls, place)))
    throw new SpokeError('PLAN_STALE', `pgbackrest would expire more than the WAL before ${floor}: nothing was expired`);
  await runWorking(parts, argv, { repository }, context);
}

/** Of each cluster generation all WAL stays from its oldest full backup on that is not older than the floor. */
function isAboveFloor(label: BackupLabel, fulls: readonly FullBackup[], place: number): boolean {
  const found = fulls.findIndex((full) => full.label === label);
  const generation = fulls[found]?.databaseId;
  return found < 0 || fulls.slice(place, found).some(({ databaseId }) => databaseId === generation);
}

async function lookAhead(
  parts: CommandParts,
  repository: RepositorySettings,
  argv: readonly string[],
  context: OperationContext,
): Promise<ExpireReport> {
  const lines: string[] = [];
  await runReading(parts, argv, { repository, onLine: (line) => lines.push(line) }, context);
  return readExpireReport(lines);
}
