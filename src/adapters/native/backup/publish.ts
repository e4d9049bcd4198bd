import { createHash } from 'node:crypto';
import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { backupKey, LAYOUT_VERSION, RECORD_NAME, SUMS_NAME } from '../../../domain/native/layout.ts';
import type { Manifest } from '../../../domain/native/manifest.ts';
import { formatBackupRecord } from '../../../domain/native/record-text.ts';
import { formatSums } from '../../../domain/native/sums-text.ts';
import type { Instant } from '../../../domain/time/instant.ts';
import { asSpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import type { IncrementalBasis } from '../incremental/incremental.ts';
import type { CopiedCluster } from './copy-into.ts';
import type { Destination } from './destinations.ts';
import type { BasedAttempt } from './attempt.ts';
import { type ObjectWriter, remaining, type StoredObject } from './store-objects.ts';
import { spanOf, type TakingParts } from './taking.ts';

/** How long the WAL of a backup may take into a repository. */
const WAL_TIMEOUT_MS = 10 * 60_000;

interface Recording extends BasedAttempt {
  readonly label: BackupLabel;
  readonly copied: CopiedCluster;
  readonly stopTime: Instant;
}

export function recordOf({ settings }: NativeParts, { request, basis, source, program, label, copied, stopTime }: Recording): BackupRecord {
  const { server, name } = source.from;
  const { objects, archives, manifest, range, hasPageErrors } = copied;
  return {
    layoutVersion: LAYOUT_VERSION,
    label,
    type: basis.kind,
    ...(basis.kind === 'incr' ? { prior: basis.prior.label } : {}),
    ...(basis.kind === 'full' && basis.reason !== undefined ? { fullBecause: basis.reason } : {}),
    references: basis.kind === 'incr' ? basis.references : [],
    runId: request.runId,
    systemIdentifier: server.systemIdentifier,
    postgresMajor: server.postgresMajor,
    walSegmentBytes: server.walSegmentSizeBytes,
    timeline: range.timeline,
    startLsn: range.startLsn,
    stopLsn: range.endLsn,
    startTime: server.serverTime,
    stopTime,
    databaseBytes: databaseBytesOf(basis, manifest),
    fileBytes: manifest.fileBytes,
    storedBytes: [...objects.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n),
    dataChecksums: server.settings.data_checksums === 'on',
    hasPageErrors,
    source: { node: name, inRecovery: server.inRecovery },
    compressType: settings.compressType,
    recipients: settings.encryption?.recipients ?? [],
    archives,
    madeBy: [program.text],
  };
}

/** The manifest of an incremental backup tells how much has changed, not how much there is. */
function databaseBytesOf(basis: IncrementalBasis, { fileBytes }: Manifest): bigint {
  if (basis.kind === 'full') return fileBytes;
  return basis.databaseBytes ?? basis.prior.databaseBytes;
}

interface Publication {
  readonly record: BackupRecord;
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Those in which it is visible. */
  readonly published: Set<Destination>;
}

/** Makes the backup visible in each repository as soon as that one has its WAL. Throws where it is in none. */
export async function publish(
  { wal }: TakingParts,
  writer: ObjectWriter,
  { record, objects, published }: Publication,
  context: OperationContext,
): Promise<void> {
  const text = Buffer.from(formatBackupRecord(record));
  const sums = new Map([...objects].map(([name, { sha256 }]) => [name, sha256]));
  sums.set(RECORD_NAME, createHash('sha256').update(text).digest('hex'));
  const sumsText = Buffer.from(formatSums(sums));
  await Promise.all(
    remaining(writer).map(async (destination) => {
      try {
        await wal.awaitWal(destination.name, spanOf(record), { ...context, timeoutMs: WAL_TIMEOUT_MS });
        await destination.store.write(backupKey(record.label, RECORD_NAME), text, writer.signal);
        await destination.store.write(backupKey(record.label, SUMS_NAME), sumsText, writer.signal);
        published.add(destination);
      } catch (thrown) {
        writer.failures.set(destination.name, asSpokeError(thrown));
      }
    }),
  );
  remaining(writer);
}
