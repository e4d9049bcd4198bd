import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord, RecordedArchive } from '../../../domain/native/backup-record.ts';
import { backupKey, MANIFEST_NAME } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { PlacedTablespace } from '../incremental/combine.ts';
import { type NativeParts, storeOf } from '../parts.ts';
import { reading } from '../transform.ts';
import { readChecked } from './checked-object.ts';
import { firstLine, runAsOwner } from './programs.ts';
import { allOrNone } from './together.ts';

/** What global/pg_control is called until everything else is there: without it no server starts. */
export const CONTROL_FILE = 'global/pg_control';
export const CONTROL_FILE_ASIDE = 'global/pg_control.restoring';

/** Each is one process that writes files, and one that decrypts. */
const ARCHIVES_AT_ONCE = 3;

export interface ExtractRequest {
  readonly repository: RepositoryName;
  readonly record: BackupRecord;
  /** Empty; of the owner of data directories. */
  readonly directory: string;
  /** Of every tablespace of the backup: empty directories of that owner. */
  readonly tablespaces: readonly PlacedTablespace[];
  /** Of the restore that this is a part of. */
  readonly lockFile: string;
  /** The backup's manifest goes there. */
  readonly manifestFile: string;
  /** Whether pg_control comes under its own name, so that a server could start. */
  readonly isStartable: boolean;
  /** Called with each count of stored bytes that was read. */
  readonly onBytes?: (count: number) => void;
}

/**
 * Brings one backup as it was taken into a directory: the data directory's archive, its tablespaces where the request says, its manifest. Every
 * object is compared with SHA256SUMS while it is read. Nothing is made durable, and pg_tblspc is left as it was on the server.
 * Throws BACKUP_DAMAGED naming the object, DISK_FULL, SECRET_UNAVAILABLE, REPOSITORY_*.
 */
export async function extractBackup(
  parts: NativeParts,
  catalog: NativeCatalog,
  request: ExtractRequest,
  context: OperationContext,
): Promise<void> {
  const { record, repository } = request;
  const store = await storeOf(parts, repository);
  const sums = await catalog.readSums(repository, record.label, context.signal);
  const storedOf = (name: string, { signal }: OperationContext, counted: Pick<ExtractRequest, 'onBytes'> = {}) =>
    readChecked(store, { key: backupKey(record.label, name), sha256: sums.get(name), ...counted }, signal);
  const contentOf = (name: string, inner: OperationContext) =>
    reading(parts, backupKey(record.label, name), storedOf(name, inner, request), inner);
  await writeManifest(parts, request.manifestFile, contentOf(manifestName(sums, record), context));
  await allOrNone(record.archives, ARCHIVES_AT_ONCE, context, async (archive, inner) => {
    const place = { ...placeOf(archive, request), name: archive.name, lockFile: request.lockFile };
    const failure = await extractArchive(parts, place, contentOf(archive.name, inner), inner);
    if (failure === undefined) return;
    // tar may have been the first to stumble over a damaged byte: whether there is one only the whole object tells.
    for await (const _piece of storedOf(archive.name, inner));
    throw failure;
  });
}

/** It may be stored compressed and encrypted. */
function manifestName(sums: ReadonlyMap<string, string>, { label }: BackupRecord): string {
  const name = [...sums.keys()].find((one) => one === MANIFEST_NAME || one.startsWith(`${MANIFEST_NAME}.`));
  if (name !== undefined) return name;
  throw new SpokeError('BACKUP_DAMAGED', `backup ${label} is damaged: SHA256SUMS names no ${MANIFEST_NAME}`, { details: { label } });
}

interface ArchivePlace {
  readonly directory: string;
  readonly transform: readonly string[];
}

function placeOf({ tablespaceOid, name }: RecordedArchive, { directory, tablespaces, isStartable }: ExtractRequest): ArchivePlace {
  if (tablespaceOid === undefined)
    return { directory, transform: isStartable ? [] : [`--transform=flags=r;s|^${CONTROL_FILE}$|${CONTROL_FILE_ASIDE}|`] };
  const location = tablespaces.find(({ oid }) => oid === tablespaceOid)?.location;
  if (location === undefined) throw new SpokeError('REFUSED_TABLESPACE', `nothing says where the tablespace in ${name} shall go`);
  return { directory: location, transform: [] };
}

/** Modes are kept, since a cluster may let its group read; the owner is who runs tar. Resolves with what tar failed of. */
async function extractArchive(
  parts: NativeParts,
  { name, directory, transform, lockFile }: ArchivePlace & { readonly name: string; readonly lockFile: string },
  content: AsyncIterable<Uint8Array>,
  context: OperationContext,
): Promise<SpokeError | undefined> {
  const argv = [
    '--extract',
    '--file=-',
    '--blocking-factor=256',
    `--directory=${directory}`,
    '--same-permissions',
    '--no-same-owner',
    '--touch',
  ];
  const { exitCode, stderrTail } = await runAsOwner(
    parts,
    { file: 'tar', argv: [...argv, ...transform], inputStream: content, lockFile },
    context,
  );
  if (exitCode === 0) return undefined;
  return new SpokeError(
    'TOOL_FAILED',
    `tar could not extract ${name} into ${directory}: ${firstLine(stderrTail, /^tar: /) ?? `exit code ${exitCode}`}`,
    {
      details: { tool: 'tar', stderrTail },
    },
  );
}

async function writeManifest({ settings: { user } }: NativeParts, path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  if (user !== undefined && process.geteuid?.() === 0) await file.chown(user.uid, user.gid);
  await pipeline(content, file.createWriteStream());
}
