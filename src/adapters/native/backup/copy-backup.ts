import { createHash } from 'node:crypto';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { backupKey, SUMS_NAME } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { Destination } from './destinations.ts';

/** Copies the objects of a backup from a repository into another, but for its SHA256SUMS; every byte is compared with what those say. */
export async function copyBackup(
  catalog: NativeCatalog,
  from: Destination,
  to: Destination,
  { label }: BackupRecord,
  signal: AbortSignal,
): Promise<void> {
  const sums = await catalog.readSums(from.name, label, signal);
  for (const [name, sha256] of sums) {
    const source = await from.store.openRead(backupKey(label, name), signal);
    if (source === undefined) throw damage(`${label}/${name} is missing in repository ${from.name}`);
    await to.store.writeStream(backupKey(label, name), compared(source, sha256, `${label}/${name} in repository ${from.name}`), signal);
  }
}

/** Visible from here on. */
export async function copySums(from: Destination, to: Destination, { label }: BackupRecord, signal: AbortSignal): Promise<void> {
  const bytes = await from.store.read(backupKey(label, SUMS_NAME), signal);
  if (bytes === undefined) throw damage(`backup ${label} has gone from repository ${from.name}`);
  await to.store.write(backupKey(label, SUMS_NAME), bytes, signal);
}

async function* compared(source: AsyncIterable<Uint8Array>, sha256: string, what: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== sha256) throw damage(`${what} is not what its checksum says`);
}

function damage(message: string): SpokeError {
  return new SpokeError('BACKUP_DAMAGED', message);
}
