import { randomBytes } from 'node:crypto';
import { copyFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { MANIFEST_NAME } from '../../../domain/native/layout.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import { type ChainMember, combineMembers, type PlacedTablespace } from '../incremental/combine.ts';
import type { NativeParts } from '../parts.ts';
import { CONTROL_FILE, CONTROL_FILE_ASIDE, extractBackup } from './extract.ts';
import { makeOwnDirectory } from './own-directory.ts';
import { linkTablespaces } from './tablespaces.ts';
import { verifyCopy } from './verify-copy.ts';

/** Holds the members until they are one: in the data directory itself, so that what is made of them gets there by renames. */
const STAGE = 'spoke-restoring.';

export interface ExtractChainRequest {
  readonly repository: RepositoryName;
  /** Of the last member. */
  readonly record: BackupRecord;
  readonly dataDirectory: string;
  readonly tablespaces: readonly PlacedTablespace[];
  /** Of the data directory that the members make. */
  readonly manifestFile: string;
  readonly lockFile: string;
  readonly onBytes: (count: number) => void;
}

/**
 * Brings every member of a chain beside the others, each compared with its own manifest, makes one data directory of them, and moves its
 * content into the data directory, pg_control aside. Throws what extractBackup, verifyCopy and combineMembers throw.
 */
export async function extractChain(
  parts: NativeParts,
  catalog: NativeCatalog,
  request: ExtractChainRequest,
  context: OperationContext,
): Promise<void> {
  const { record, dataDirectory, tablespaces, manifestFile } = request;
  // Of another name each time: what is still writing into the last one writes into nothing.
  const stage = join(dataDirectory, `${STAGE}${randomBytes(4).toString('hex')}`);
  await makeOwnDirectory(parts, stage);
  const members: ChainMember[] = [];
  for (const label of record.references) {
    const before = await catalog.readRecord(request.repository, label, context.signal);
    members.push(await stageMember(parts, catalog, { ...request, record: before, stage }, context));
  }
  members.push(await stageMember(parts, catalog, { ...request, stage }, context));
  const outputDirectory = join(stage, 'combined');
  context.onProgress?.({ phase: 'combine' });
  await combineMembers(parts, { members, postgresMajor: record.postgresMajor, outputDirectory, tablespaces }, context);
  await moveInto(dataDirectory, outputDirectory, manifestFile);
  await rm(stage, { recursive: true });
}

async function stageMember(
  parts: NativeParts,
  catalog: NativeCatalog,
  { stage, record, repository, onBytes, lockFile }: ExtractChainRequest & { readonly stage: string },
  context: OperationContext,
): Promise<ChainMember> {
  const { label, postgresMajor } = record;
  const directory = join(stage, label);
  const manifestFile = join(directory, MANIFEST_NAME);
  const tablespaces = record.archives.flatMap(({ tablespaceOid: oid }) =>
    oid === undefined ? [] : { oid, location: `${directory}.${oid}` },
  );
  for (const path of [directory, ...tablespaces.map(({ location }) => location)]) await makeOwnDirectory(parts, path);
  await extractBackup(
    parts,
    catalog,
    { repository, record, directory, tablespaces, manifestFile, lockFile, isStartable: true, onBytes },
    context,
  );
  await linkTablespaces(directory, tablespaces);
  await verifyCopy(parts, { directory, manifestFile, lockFile, postgresMajor, label, isControlAside: false }, context);
  return { label, directory, tablespaces };
}

async function moveInto(dataDirectory: string, combined: string, manifestFile: string): Promise<void> {
  await rename(join(combined, CONTROL_FILE), join(combined, CONTROL_FILE_ASIDE));
  await copyAway(join(combined, MANIFEST_NAME), manifestFile);
  for (const name of await readdir(combined)) await rename(join(combined, name), join(dataDirectory, name));
}

/** The work directory may lie on another file system. */
async function copyAway(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await rm(from);
}
