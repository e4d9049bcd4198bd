import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import type { ClusterRecord } from '../../../domain/native/cluster-record.ts';
import { BACKUPS_PREFIX } from '../../../domain/native/layout.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { BlobStore } from '../../../ports/blob-store.ts';
import { throwIfCancelled } from '../cancelled.ts';
import type { BackupFolder, NativeCatalog } from '../catalog/catalog.ts';
import { type NativeParts, storeOf } from '../parts.ts';

/** A repository that a backup goes into. */
export interface Destination {
  readonly name: RepositoryName;
  readonly store: BlobStore;
  readonly cluster: ClusterRecord;
  /** Complete ones, oldest first. */
  readonly records: readonly BackupRecord[];
  /** Every label that is there, also of what is not complete. */
  readonly labels: readonly BackupLabel[];
}

/** Repositories that failed, and why. */
export type Failures = Map<RepositoryName, SpokeError>;

/** How long what a failed backup has left is tidied up. */
const TIDYING_MS = 60_000;

/** Opens the repositories, and removes from them what killed backups have left. Those that fail are noted and left out. */
export async function openDestinations(
  parts: NativeParts,
  catalog: NativeCatalog,
  names: readonly RepositoryName[],
  failures: Failures,
  signal: AbortSignal,
): Promise<readonly Destination[]> {
  const opened = await Promise.all(
    names.map(async (name) => {
      try {
        return await openDestination(parts, catalog, name, signal);
      } catch (thrown) {
        failures.set(name, asSpokeError(thrown));
        return undefined;
      }
    }),
  );
  throwIfCancelled(signal);
  return opened.filter((one) => one !== undefined);
}

async function openDestination(
  parts: NativeParts,
  catalog: NativeCatalog,
  name: RepositoryName,
  signal: AbortSignal,
): Promise<Destination> {
  const cluster = await catalog.readCluster(name, signal);
  if (cluster === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `repository ${name} is not set up`, { hint: 'Set it up: spoke-backup setup archiving' });
  const store = await storeOf(parts, name);
  await removeHalves(store, await catalog.listFolders(name, signal), signal);
  const { records, damaged } = await catalog.listBackups(name, signal);
  return { name, store, cluster, records, labels: [...records, ...damaged].map(({ label }) => label) };
}

/** Whoever is to work on the backups holds the lock: nobody is at work on them any more. */
export async function removeHalves(store: BlobStore, folders: readonly BackupFolder[], signal: AbortSignal): Promise<void> {
  const halves = folders.filter(({ isComplete }) => !isComplete).flatMap(({ objects }) => [...objects.values()].map(({ key }) => key));
  if (halves.length > 0) await store.delete(halves, signal);
}

/** Removes what there is of a backup that did not become one, as far as it can be. What stays the next backup removes. */
export async function tidyUp({ store }: Pick<Destination, 'store'>, label: BackupLabel): Promise<void> {
  const signal = AbortSignal.timeout(TIDYING_MS);
  try {
    const left = await store.list(`${BACKUPS_PREFIX}${label}/`, signal);
    await store.delete(
      left.map(({ key }) => key),
      signal,
    );
  } catch {
    // The backup has failed for a reason of its own; that is what is told.
  }
}
