import { readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { SpokeError } from '../../../errors.ts';
import type { PlacedTablespace } from '../incremental/combine.ts';
import type { NativeParts } from '../parts.ts';
import { errnoOf, writeOwned } from './write-owned.ts';

const TABLESPACE_MAP = 'tablespace_map';

/** Every tablespace of the backup needs a place, and no place may be of none. Throws REFUSED_TABLESPACE. */
export function requireMapped({ archives, label }: BackupRecord, map: readonly PlacedTablespace[]): void {
  const oids = archives.flatMap(({ tablespaceOid }) => tablespaceOid ?? []);
  const unmapped = archives.filter(({ tablespaceOid }) => tablespaceOid !== undefined && !map.some(({ oid }) => oid === tablespaceOid));
  if (unmapped.length > 0)
    throw new SpokeError('REFUSED_TABLESPACE', `nothing says where these tablespaces of ${label} go: ${unmapped.map(nameOf).join(', ')}`);
  const unknown = map.filter(({ oid }) => !oids.includes(oid));
  if (unknown.length > 0)
    throw new SpokeError('REFUSED_TABLESPACE', `${label} has no tablespace ${unknown.map(({ oid }) => oid).join(', ')}`);
}

function nameOf({ tablespaceOid, tablespaceLocation }: BackupRecord['archives'][number]): string {
  return `${tablespaceOid} (${tablespaceLocation ?? 'its location is not known'})`;
}

/** Points the links of pg_tblspc to where the tablespaces are now. */
export async function linkTablespaces(dataDirectory: string, tablespaces: readonly PlacedTablespace[]): Promise<void> {
  for (const { oid, location } of tablespaces) {
    const link = join(dataDirectory, 'pg_tblspc', String(oid));
    await rm(link, { force: true });
    await symlink(location, link);
  }
}

/** The links are made once more by a server that starts from a backup, of this file (read_tablespace_map, xlogrecovery.c). */
export async function rewriteTablespaceMap(
  parts: Pick<NativeParts, 'settings'>,
  dataDirectory: string,
  tablespaces: readonly PlacedTablespace[],
): Promise<void> {
  const path = join(dataDirectory, TABLESPACE_MAP);
  if (tablespaces.length === 0 && !(await isThere(path))) return;
  const lines = tablespaces.map(({ oid, location }) => `${oid} ${location.replaceAll(/[\\\n\r]/g, '\\$&')}\n`);
  await writeOwned(parts, path, lines.join(''));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await readFile(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}
