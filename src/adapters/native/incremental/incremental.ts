import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import type { BackupLabel, BackupType, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { decideChain, reasonManifestUnfit, reasonServerCannot } from '../../../domain/native/chain.ts';
import { backupKey, MANIFEST_NAME } from '../../../domain/native/layout.ts';
import { reasonSummariesFallShort } from '../../../domain/native/wal-summaries.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ServerAddress, ServerObservation } from '../../../ports/postgres-server.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { NativeParts } from '../parts.ts';
import { reasonOfOtherPast } from './histories.ts';
import { keepsForItself, openKeptManifest } from './kept.ts';
import { copyManifest } from './manifest-file.ts';
import { readPlain } from './read-plain.ts';

/** What is known right before a backup that is to be incremental. */
export interface IncrementalRequest {
  readonly type: Exclude<BackupType, 'full'>;
  /** Every repository that it goes into: the prior must be the same backup in each. */
  readonly repositories: readonly RepositoryName[];
  /** The server that it is taken from. */
  readonly server: ServerObservation;
  readonly address: ServerAddress;
  /** Of this backup alone, of the user that PostgreSQL's programs run as; removed afterwards. */
  readonly workDirectory: string;
}

export type IncrementalBasis =
  /** A full one. `reason`: why none that is incremental, where such a one was asked for; it is said, and noted in the record. */
  | { readonly kind: 'full'; readonly reason?: string }
  | {
      readonly kind: 'incr';
      readonly prior: BackupRecord;
      /** Of the new backup's record. */
      readonly references: readonly BackupLabel[];
      /** pg_basebackup gets `--incremental=<manifestFile>`; the file lies in the work directory, decrypted, its checksum checked. */
      readonly manifestFile: string;
      /** Size of the cluster now, which the manifest of an incremental backup does not tell; absent where the role may not ask. */
      readonly databaseBytes?: bigint;
    };

const PRIOR_MANIFEST = 'prior.manifest';

/**
 * Decides what an incremental backup can be relative to, and brings the manifest of that. Whatever makes it doubtful that the changed blocks
 * would be all of them makes a full backup. Throws REPOSITORY_*, POSTGRES_UNAVAILABLE, FILE_SYSTEM_FAILED, CANCELLED.
 */
export async function findBasis(
  parts: NativeParts,
  catalog: NativeCatalog,
  request: IncrementalRequest,
  context: OperationContext,
): Promise<IncrementalBasis> {
  const { type, server, address, repositories } = request;
  const unable = reasonServerCannot(server);
  if (unable !== undefined) return { kind: 'full', reason: unable };
  const holdings = await Promise.all(
    repositories.map(async (repository) => ({ repository, ...(await catalog.listBackups(repository, context.signal)) })),
  );
  const decision = decideChain(type, server, holdings);
  if (decision.kind === 'full') return decision;
  const { prior, references } = decision.chain;
  const { databaseBytes, ...summaries } = await parts.postgres.observeSummaries(address, prior.startLsn, context);
  const reason =
    reasonSummariesFallShort(summaries, prior.timeline, prior.startLsn) ?? (await reasonOfOtherPast(parts, prior, request, context));
  if (reason !== undefined) return { kind: 'full', reason };
  const manifestFile = join(request.workDirectory, PRIOR_MANIFEST);
  const unfit = await bringManifest(parts, prior, repositories, manifestFile, context);
  if (unfit !== undefined) return { kind: 'full', reason: unfit };
  return { kind: 'incr', prior, references, manifestFile, ...(databaseBytes === undefined ? {} : { databaseBytes }) };
}

/** Why it cannot be had, or says something else than the record; undefined where it is there. The repositories hold the same bytes. */
async function bringManifest(
  parts: NativeParts,
  prior: BackupRecord,
  repositories: readonly RepositoryName[],
  file: string,
  context: OperationContext,
): Promise<string | undefined> {
  const { settings } = parts;
  const [repository] = repositories;
  if (repository === undefined) throw new SpokeError('INTERNAL', 'a backup that goes nowhere');
  const isKept = keepsForItself(settings);
  const name = `${MANIFEST_NAME} of ${prior.label} ${isKept ? 'on this host' : `in repository ${repository}`}`;
  try {
    const source = isKept
      ? await openKeptManifest(settings, prior.label)
      : await readPlain(parts, repository, backupKey(prior.label, MANIFEST_NAME), context);
    if (source === undefined)
      return isKept ? `${name} was not kept, and only others can decrypt the one that is stored` : `there is no ${name}`;
    return reasonManifestUnfit(prior, await copyManifest(name, source, file, settings.user));
  } catch (thrown) {
    if (thrown instanceof SpokeError && (thrown.code === 'BACKUP_DAMAGED' || thrown.code === 'SECRET_UNAVAILABLE')) return thrown.message;
    throw thrown;
  }
}
