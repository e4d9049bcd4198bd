import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { nextLabel, rootOfLabel } from '../../../domain/native/label.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { findBasis, type IncrementalBasis } from '../incremental/incremental.ts';
import { historyOfServer } from '../incremental/histories.ts';
import { keepForItself, keepsForItself } from '../incremental/kept.ts';
import { reasonForFull } from '../incremental/reason-for-full.ts';
import type { Attempt, BasedAttempt, NewBackup } from './attempt.ts';
import { type CopiedCluster, copyInto, timeAfter } from './copy-into.ts';
import { type Destination, type Failures, tidyUp } from './destinations.ts';
import { publish, recordOf } from './publish.ts';
import { type BackupSource, chooseSource } from './source.ts';
import { type ObjectWriter, remaining } from './store-objects.ts';
import type { NativeParts } from '../parts.ts';
import type { TakingParts } from './taking.ts';
import { findBackupProgram } from './version.ts';
import { inWorkDirectory } from './work-directory.ts';

/** Reads the database once. Throws where no repository got the backup; those that failed are in `failures`. */
export async function takeNewBackup(taking: TakingParts, backup: NewBackup, context: OperationContext): Promise<BackupLabel> {
  const { parts } = taking;
  const { destinations, failures } = backup;
  const systemIdentifier = destinations[0]?.cluster.systemIdentifier ?? (0n as never);
  const source = await chooseSource(parts, systemIdentifier, context);
  refuseForeign(backup, source);
  const program = await findBackupProgram(parts, source.from.server.postgresMajor, context);
  return inWorkDirectory(parts, context.signal, async (work) => {
    const attempt = { ...backup, source, program, work };
    const basis = await basisOf(taking, attempt, context);
    if (basis.kind === 'full') return takeOne(taking, { ...attempt, basis }, context);
    try {
      return await takeOne(taking, { ...attempt, basis }, context);
    } catch (thrown) {
      const reason = reasonForFull(lastWordsOf(thrown));
      if (reason === undefined || context.signal.aborted || remainsNone(destinations, failures)) throw thrown;
      const full = { kind: 'full', reason } as const;
      tellFull(context, reason);
      // Of the first attempt nothing is left.
      return inWorkDirectory(parts, context.signal, (fresh) => takeOne(taking, { ...attempt, work: fresh, basis: full }, context));
    }
  });
}

/** What pg_basebackup said at the end, as far as the error tells it. */
function lastWordsOf(thrown: unknown): string {
  const { message, details } = asSpokeError(thrown);
  return `${message}\n${typeof details.outputTail === 'string' ? details.outputTail : ''}`;
}

/** Each repository is of the cluster that the server is of, or gets nothing. */
function refuseForeign({ destinations, failures }: NewBackup, { from: { server } }: BackupSource): void {
  for (const { name, cluster } of destinations) {
    if (cluster.systemIdentifier !== server.systemIdentifier || cluster.postgresMajor !== server.postgresMajor)
      failures.set(
        name,
        new SpokeError(
          'REFUSED_WRONG_CLUSTER',
          `repository ${name} is of system identifier ${cluster.systemIdentifier} (PostgreSQL ${cluster.postgresMajor}), the server has ${server.systemIdentifier} (PostgreSQL ${server.postgresMajor})`,
        ),
      );
  }
  remaining({ destinations, failures });
}

function remainsNone(destinations: readonly Destination[], failures: Failures): boolean {
  return destinations.every(({ name }) => failures.has(name));
}

async function basisOf({ parts, catalog }: TakingParts, attempt: Attempt, context: OperationContext): Promise<IncrementalBasis> {
  const { request, source, work } = attempt;
  if (request.type === 'full') return { kind: 'full' };
  const repositories = remaining(attempt).map(({ name }) => name);
  const { server, address } = source.from;
  const basis = await findBasis(parts, catalog, { type: request.type, repositories, server, address, workDirectory: work.path }, context);
  if (basis.kind === 'full' && basis.reason !== undefined) tellFull(context, basis.reason);
  return basis;
}

function tellFull(context: OperationContext, reason: string): void {
  context.onProgress?.({ phase: `a full backup instead of an incremental one: ${reason}` });
}

async function takeOne(taking: TakingParts, attempt: BasedAttempt, context: OperationContext): Promise<BackupLabel> {
  const { parts } = taking;
  const { destinations, failures, source, basis } = attempt;
  const { server } = source.from;
  const label = nextLabel({
    type: basis.kind,
    startTime: server.serverTime,
    ...(basis.kind === 'incr' ? { root: rootOfLabel(basis.prior.label) } : {}),
    taken: destinations.flatMap(({ labels }) => labels),
  });
  const writer: ObjectWriter = { label, destinations, failures, signal: context.signal };
  const published = new Set<Destination>();
  try {
    // The server waits in the end until the WAL is archived, which may mean: in every repository.
    const copied = await taking.wal.whileShipping(context.signal, () => copyInto(parts, writer, attempt, context));
    const stopTime = await timeAfter(parts, source.from, copied, context);
    const record = recordOf(parts, { ...attempt, label, copied, stopTime });
    context.onProgress?.({ phase: 'waiting for the WAL of the backup' });
    // A standby cannot end the segment in which its backup ended.
    if (source.from !== source.primary) await parts.postgresWriter.closeWalSegment(source.primary.address, { signal: context.signal });
    await publish(taking, writer, { record, objects: copied.objects, published }, context);
    await keepForNext(parts, attempt, record, copied, context);
  } finally {
    await Promise.all(destinations.filter((one) => !published.has(one)).map((one) => tidyUp(one, label)));
  }
  return label;
}

/** The backup is one without it: the next one becomes a full one then. */
async function keepForNext(
  parts: NativeParts,
  { source }: Attempt,
  record: BackupRecord,
  { manifestFile }: CopiedCluster,
  context: OperationContext,
): Promise<void> {
  if (!keepsForItself(parts.settings)) return;
  try {
    const history = record.timeline === 1 ? undefined : await historyOfServer(parts, source.from.address, record.timeline, context);
    await keepForItself(parts, record, manifestFile, history);
  } catch (thrown) {
    context.onProgress?.({ phase: `complete, but the next backup will be a full one: ${asSpokeError(thrown).message}` });
  }
}
