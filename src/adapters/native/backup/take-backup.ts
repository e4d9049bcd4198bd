import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { BackupRequest } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { cancellable } from '../cancelled.ts';
import { whileLocked } from '../lock.ts';
import { copyBackup, copySums } from './copy-backup.ts';
import { type Destination, type Failures, openDestinations, tidyUp } from './destinations.ts';
import { takeNewBackup } from './new-backup.ts';
import { spanOf, type TakingParts } from './taking.ts';

/**
 * Takes a backup into one or several repositories. Those that fail do not keep the others from getting theirs: then it throws in the end, and
 * called again with the same run it brings the backup to where it is missing.
 */
export async function takeBackup(taking: TakingParts, request: BackupRequest, context: OperationContext): Promise<BackupLabel> {
  const names = [request.repository, ...(request.alsoInto ?? [])];
  return cancellable(context.signal, () =>
    whileLocked(taking.parts, context, async () => {
      const failures: Failures = new Map();
      const destinations = await openDestinations(taking.parts, taking.catalog, names, failures, context.signal);
      const [firstFailure] = failures.values();
      if (destinations.length === 0 && firstFailure !== undefined) throw firstFailure;
      const [source, ...others] = destinations.filter((destination) => backupOf(destination, request.runId) !== undefined);
      const taken = source === undefined ? undefined : backupOf(source, request.runId);
      const missing = destinations.filter((destination) => destination !== source && !others.includes(destination));
      if (source !== undefined && taken !== undefined) await bringTo(taking, { source, taken, missing, failures }, context);
      const label = taken?.label ?? (await takeNewBackup(taking, { request, destinations, failures }, context));
      if (failures.size > 0) throw partialFailure(label, names, failures);
      return label;
    }),
  );
}

function backupOf({ records }: Destination, runId: string): BackupRecord | undefined {
  return records.findLast((record) => record.runId === runId);
}

interface Bringing {
  readonly source: Destination;
  readonly taken: BackupRecord;
  readonly missing: readonly Destination[];
  readonly failures: Failures;
}

async function bringTo(
  { catalog, wal }: TakingParts,
  { source, taken, missing, failures }: Bringing,
  context: OperationContext,
): Promise<void> {
  for (const destination of missing) {
    context.onProgress?.({ phase: `copying ${taken.label} from ${source.name} to ${destination.name}` });
    try {
      requireReferences(destination, taken);
      await copyBackup(catalog, source, destination, taken, context.signal);
      await wal.awaitWal(destination.name, spanOf(taken), context);
      await copySums(source, destination, taken, context.signal);
    } catch (thrown) {
      failures.set(destination.name, asSpokeError(thrown));
      await tidyUp(destination, taken.label);
    }
  }
}

function requireReferences({ name, records }: Destination, { label, references }: BackupRecord): void {
  const lost = references.find((reference) => !records.some((record) => record.label === reference));
  if (lost !== undefined) throw new SpokeError('NO_BACKUP', `repository ${name} does not hold ${lost}, which ${label} needs`);
}

function partialFailure(label: BackupLabel, names: readonly RepositoryName[], failures: Failures): SpokeError {
  const [first = new SpokeError('INTERNAL', 'nothing failed')] = failures.values();
  const good = names.filter((name) => !failures.has(name));
  const why = [...failures].map(([name, { message }]) => `${name}: ${message}`).join('; ');
  return new SpokeError(first.code, `backup ${label} is in ${good.join(', ')}, but not in ${[...failures.keys()].join(', ')} (${why})`, {
    details: { label, repositories: good, failedRepositories: [...failures.keys()] },
    hint: first.hint,
    cause: first,
  });
}
