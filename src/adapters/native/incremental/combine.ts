import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';

/** Where a tablespace of a data directory lies. */
export interface PlacedTablespace {
  readonly oid: number;
  readonly location: string;
}

/**
 * One backup of a chain as a plain data directory, as `pg_basebackup -Fp` would have left it: `global/pg_control` in its place,
 * `backup_manifest` in it, its tablespaces linked from pg_tblspc to `tablespaces`. It has been verified against its manifest.
 */
export interface ChainMember {
  readonly label: BackupLabel;
  readonly directory: string;
  readonly tablespaces: readonly PlacedTablespace[];
}

export interface CombineRequest {
  /** The full backup first, the one that is restored last; at least two. On the file system of `outputDirectory`. */
  readonly members: readonly ChainMember[];
  readonly postgresMajor: number;
  /** Made here: there is none yet. */
  readonly outputDirectory: string;
  /** Where the tablespaces of the last member go: directories that are there and empty. */
  readonly tablespaces: readonly PlacedTablespace[];
}

/**
 * Makes of the members the data directory that the last of them stands for, with a `backup_manifest` of it. Makes nothing durable. The
 * members are of no use afterwards: it may link to their files, or move them. Throws BACKUP_DAMAGED, DISK_FULL, TOOL_FAILED.
 */
export async function combineMembers(_parts: NativeParts, request: CombineRequest, _context: OperationContext): Promise<void> {
  const last = request.members.at(-1)?.label ?? '';
  return Promise.reject(new SpokeError('TOOL_UNSUPPORTED', `incremental backups such as ${last} cannot be restored yet`));
}
