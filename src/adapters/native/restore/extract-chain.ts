import { randomBytes } from 'node:crypto';
import { copyFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { reasonUnfitAsChain } from '../../../domain/native/chain.ts';
import { MANIFEST_NAME } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
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
  const { record, dataDirectory, tablespaces, manifestFile, lockFile } = request;
  const records = await readChain(catalog, request, context);
  // Of another name each time: what is still writing into the last one writes into nothing.
  const stage = join(dataDirectory, `${STAGE}${randomBytes(4).toString('hex')}`);
  await makeOwnDirectory(parts, stage);
  const members: ChainMember[] = [];
  for (const one of records) members.push(await stageMember(parts, catalog, { ...request, record: one, stage }, context));
  const outputDirectory = join(stage, 'combined');
  context.onProgress?.({ phase: 'combine' });
  await combineMembers(parts, { members, postgresMajor: record.postgresMajor, outputDirectory, tablespaces, lockFile }, context);
  await moveInto(dataDirectory, outputDirectory, manifestFile);
  await rm(stage, { recursive: true });
}

/** All of them, before anything is written. Throws BACKUP_DAMAGED where one is missing or is not what the others need. */
async function readChain(
  catalog: NativeCatalog,
  { repository, record }: ExtractChainRequest,
  { signal }: OperationContext,
): Promise<readonly BackupRecord[]> {
  const records: BackupRecord[] = [];
  const damaged = (why: string, cause?: unknown) =>
    new SpokeError('BACKUP_DAMAGED', `backup ${record.label} cannot be restored from ${repository}: ${why}`, {
      details: { label: record.label },
      cause,
    });
  for (const label of record.references) {
    try {
      records.push(await catalog.readRecord(repository, label, signal));
    } catch (thrown) {
      if (!(thrown instanceof SpokeError) || thrown.code !== 'TARGET_NOT_FOUND') throw thrown;
      throw damaged(`it needs ${label}, which is not there`, thrown);
    }
  }
  records.push(record);
  const why = reasonUnfitAsChain(records);
  if (why !== undefined) throw damaged(why);
  return records;
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
