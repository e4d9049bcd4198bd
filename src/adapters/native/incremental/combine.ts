import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import { firstLine, postgresProgram, runAsOwner } from '../restore/programs.ts';
import { copyMethodOptions } from './copy-method.ts';

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
  /** Held as long as anything is written. */
  readonly lockFile: string;
}

/**
 * What pg_combinebackup says of members that do not belong together or are not what their manifests say. It compares the control files and the
 * labels of all members before it makes anything (pg_combinebackup.c, reconstruct.c, load_manifest.c).
 */
const UNFIT_MEMBERS =
  /starts (?:at LSN|on timeline)|should be a full backup|expected system identifier|manifest system identifier|CRC is incorrect|unexpected control file version|contains no entry for file|incremental magic number|in excess of segment size|unexpected incremental file|is too short|could not find (?:START|INCREMENTAL)|could not parse/;

/**
 * Makes of the members the data directory that the last of them stands for, with a `backup_manifest` of it. Makes nothing durable. The
 * members are of no use afterwards: it may link to their files, or move them. Throws BACKUP_DAMAGED, DISK_FULL, TOOL_FAILED.
 */
export async function combineMembers(parts: NativeParts, request: CombineRequest, context: OperationContext): Promise<void> {
  const { members, postgresMajor, outputDirectory, tablespaces, lockFile } = request;
  const last = members.at(-1);
  if (last === undefined || members.length < 2) throw new SpokeError('INTERNAL', 'fewer than two backups are no chain');
  const file = await postgresProgram(parts, 'pg_combinebackup', postgresMajor);
  const argv = [
    '--no-sync',
    `--output=${outputDirectory}`,
    ...(await copyMethodOptions(
      postgresMajor,
      last.directory,
      tablespaces.map(({ location }) => location),
    )),
    ...tablespaceOptions(request, last),
    ...members.map(({ directory }) => directory),
  ];
  const { exitCode, stderrTail } = await runAsOwner(parts, { file, argv, lockFile }, context);
  if (exitCode === 0) return;
  const said = firstLine(stderrTail, /error: /)?.replace(/^.*?error: /, '') ?? `exit code ${exitCode}`;
  throw new SpokeError(
    UNFIT_MEMBERS.test(said) ? 'BACKUP_DAMAGED' : 'TOOL_FAILED',
    `${members.map(({ label }) => label).join(', ')} could not be combined: ${said}`,
    { details: { tool: 'pg_combinebackup', stderrTail } },
  );
}

/** Every tablespace has to be mapped from where it lies in the last member. An equals sign in a path is written with a backslash. */
function tablespaceOptions({ tablespaces }: CombineRequest, last: ChainMember): readonly string[] {
  const escaped = (path: string) => path.replaceAll('=', String.raw`\=`);
  return last.tablespaces.map(({ oid, location }) => {
    const target = tablespaces.find((one) => one.oid === oid)?.location;
    if (target === undefined) throw new SpokeError('REFUSED_TABLESPACE', `nothing says where tablespace ${oid} of ${last.label} shall go`);
    return `--tablespace-mapping=${escaped(location)}=${escaped(target)}`;
  });
}
