import type { BackupType, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ServerAddress, ServerObservation } from '../../../ports/postgres-server.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { NativeParts } from '../parts.ts';

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
  /** It becomes a full one, and this is said. */
  | { readonly kind: 'full'; readonly reason: string }
  /** pg_basebackup gets `--incremental=<manifestFile>`; the file lies in the work directory, decrypted, its checksum checked. */
  | { readonly kind: 'incr'; readonly prior: BackupRecord; readonly manifestFile: string };

/** Decides what an incremental backup can be relative to. */
export async function findBasis(
  _parts: NativeParts,
  _catalog: NativeCatalog,
  { server }: IncrementalRequest,
  _context: OperationContext,
): Promise<IncrementalBasis> {
  return Promise.resolve({ kind: 'full', reason: `PostgreSQL ${server.postgresMajor} has no incremental backups here yet` });
}

/** Why pg_basebackup failed, where that means that only a full backup can be taken (its last words on stderr). */
export function reasonForFull(_stderr: string): string | undefined {
  return undefined;
}
