import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { backupKey, RECORD_NAME, SUMS_NAME } from '../../../domain/native/layout.ts';
import type { RestoreRequest } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import { type NativeParts, storeOf } from '../parts.ts';
import { emptyDirectories } from './directories.ts';
import { CONTROL_FILE, CONTROL_FILE_ASIDE, extractBackup } from './extract.ts';
import { extractChain } from './extract-chain.ts';
import { postgresProgram, runToSuccess } from './programs.ts';
import { countingProgress } from './progress.ts';
import { writeRecoveryFiles } from './recovery-files.ts';
import { linkTablespaces, requireMapped, rewriteTablespaceMap } from './tablespaces.ts';
import { verifyCopy } from './verify-copy.ts';
import { lockFileOf, manifestFileOf } from './work-files.ts';
import { syncDirectory } from './write-owned.ts';

/**
 * Copies a backup, with those that it needs, into a data directory from which a server can recover. No server can start in it before it is whole,
 * checked and durable: until then pg_control has another name.
 */
export async function restoreBackup(
  parts: NativeParts,
  catalog: NativeCatalog,
  request: RestoreRequest,
  restoreCommand: string,
  context: OperationContext,
): Promise<void> {
  const { dataDirectory, tablespaceMap, repository, label } = request;
  const [manifestFile, lockFile] = [manifestFileOf(request), lockFileOf(request)];
  const record = await catalog.readRecord(repository, label, context.signal);
  const { postgresMajor } = record;
  requireMapped(record, tablespaceMap);
  await emptyDirectories(parts, request, postgresMajor, context);
  await rm(manifestFile, { force: true });
  await extract(parts, catalog, { request, record }, context);
  await linkTablespaces(dataDirectory, tablespaceMap);
  context.onProgress?.({ phase: 'verify' });
  await verifyCopy(parts, { directory: dataDirectory, manifestFile, lockFile, postgresMajor, label, isControlAside: true }, context);
  await rewriteTablespaceMap(parts, dataDirectory, tablespaceMap);
  await writeRecoveryFiles(parts, request, restoreCommand);
  context.onProgress?.({ phase: 'sync' });
  await makeDurable(parts, request, postgresMajor, context);
  await putControlFileInPlace(dataDirectory);
}

interface Extraction {
  readonly request: RestoreRequest;
  readonly record: BackupRecord;
}

/** A full backup as it is; of a chain what its last member stands for. */
async function extract(parts: NativeParts, catalog: NativeCatalog, extraction: Extraction, context: OperationContext): Promise<void> {
  const { request, record } = extraction;
  const { repository, dataDirectory, tablespaceMap } = request;
  const onBytes = countingProgress('copy', await storedBytes(parts, extraction, context), context);
  const files = { manifestFile: manifestFileOf(request), lockFile: lockFileOf(request) };
  const common = { ...files, repository, record, tablespaces: tablespaceMap, onBytes };
  if (record.references.length === 0)
    await extractBackup(parts, catalog, { ...common, directory: dataDirectory, isStartable: false }, context);
  else await extractChain(parts, catalog, { ...common, dataDirectory }, context);
}

async function storedBytes(parts: NativeParts, { request, record }: Extraction, { signal }: OperationContext): Promise<bigint> {
  const store = await storeOf(parts, request.repository);
  let bytes = 0n;
  for (const label of [...record.references, record.label])
    for (const { key, sizeBytes } of await store.list(backupKey(label, ''), signal)) if (!isAboutBackup(key)) bytes += BigInt(sizeBytes);
  return bytes;
}

function isAboutBackup(key: string): boolean {
  return key.endsWith(`/${RECORD_NAME}`) || key.endsWith(`/${SUMS_NAME}`);
}

/** PostgreSQL's own way, tablespaces included: all files are told to be written out before the first is waited for. */
async function makeDurable(parts: NativeParts, request: RestoreRequest, postgresMajor: number, context: OperationContext): Promise<void> {
  const file = await postgresProgram(parts, 'initdb', postgresMajor);
  await runToSuccess(parts, { file, argv: ['--sync-only', '--pgdata', request.dataDirectory], lockFile: lockFileOf(request) }, context);
}

async function putControlFileInPlace(dataDirectory: string): Promise<void> {
  await rename(join(dataDirectory, CONTROL_FILE_ASIDE), join(dataDirectory, CONTROL_FILE));
  await syncDirectory(join(dataDirectory, 'global'));
}
