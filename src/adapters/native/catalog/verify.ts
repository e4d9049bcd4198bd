import { createHash } from 'node:crypto';
import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import type { ClusterRecord } from '../../../domain/native/cluster-record.ts';
import { CLUSTER_KEY, MANIFEST_NAME, SUMS_NAME, WAL_PREFIX, walFileOfKey } from '../../../domain/native/layout.ts';
import { formatClusterRecord } from '../../../domain/native/record-text.ts';
import { parseTimelineHistory } from '../../../domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../../domain/postgres/timeline.ts';
import { classifyWalFile, isWalSegmentName, walSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { SpokeError } from '../../../errors.ts';
import type { VerifyReport } from '../../../ports/backup-engine.ts';
import type { BlobInfo, BlobReader } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { spanOf } from '../backup/taking.ts';
import { cancellable } from '../cancelled.ts';
import { readManifest } from '../incremental/manifest-file.ts';
import { type NativeParts, storeOf } from '../parts.ts';
import { reading } from '../transform.ts';
import type { BackupFolder, NativeCatalog } from './catalog.ts';
import { findDamagedNotes } from './notes.ts';

const FILES_AT_ONCE = 4;

interface Fault {
  readonly what: string;
  /** The backups that may not be relied on because of it. */
  readonly labels: readonly BackupLabel[];
}

interface Verification {
  readonly parts: NativeParts;
  readonly catalog: NativeCatalog;
  readonly name: RepositoryName;
  readonly store: BlobReader;
  readonly context: OperationContext;
  /** Undefined where the repository does not say it. */
  readonly segmentBytes: number | undefined;
  /** Bytes that were read. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Reads every object of a repository. Backups are compared with their SHA256SUMS; what they say they need has to be there. WAL is read to its end,
 * which checks its frames, and has the size of a segment. Throws where something cannot be read for another reason than damage.
 */
export async function verifyRepository(
  parts: NativeParts,
  catalog: NativeCatalog,
  name: RepositoryName,
  context: OperationContext,
): Promise<VerifyReport> {
  return cancellable(context.signal, async () => {
    const store = await storeOf(parts, name);
    const [folders, wal] = [await catalog.listFolders(name, context.signal), await store.list(WAL_PREFIX, context.signal)];
    const complete = folders.filter(({ isComplete }) => isComplete);
    const objects = [...complete.flatMap((folder) => [...folder.objects.values()]), ...wal];
    const onBytes = createMeter(objects, context);
    const cluster = await readCluster(catalog, name, context);
    const segmentBytes = 'layoutVersion' in cluster ? cluster.walSegmentBytes : undefined;
    const verification: Verification = { parts, catalog, name, store, context, segmentBytes, onBytes };
    const records: BackupRecord[] = [];
    const faults: Fault[] = [];
    for (const folder of complete) faults.push(...(await verifyBackup(verification, folder, records)));
    faults.push(...missingReferences(records));
    const soundWal = new Set<string>();
    await someAtATime(wal, async (info) => void faults.push(...(await verifyWalFile(verification, info, soundWal))));
    faults.push(...missingWal(records, soundWal));
    faults.push(...(await findDamagedNotes(store, context.signal)).map((what) => ({ what, labels: [] })));
    faults.push(...(await verifyCluster(verification, cluster, records)));
    return reportOf(faults, await catalog.listFolders(name, context.signal));
  });
}

/** The time goes into asking for them rather than into their bytes. */
async function someAtATime<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  await Promise.all(
    Array.from({ length: FILES_AT_ONCE }, async () => {
      for (const item of waiting) await work(item);
    }),
  );
}

/** What was expired meanwhile lacks what it lacks. */
function reportOf(found: readonly Fault[], folders: readonly BackupFolder[]): VerifyReport {
  const present = new Set(folders.filter(({ isComplete }) => isComplete).map(({ label }) => label));
  const faults = found.filter(({ labels }) => labels.length === 0 || labels.some((label) => present.has(label)));
  const damagedBackups = [...new Set(faults.flatMap(({ labels }) => labels))];
  return { ok: faults.length === 0, faults: faults.map(({ what }) => what).sort(), damagedBackups };
}

/** Adds the record to `records` where it is sound. */
async function verifyBackup(
  verification: Verification,
  { label, objects }: BackupFolder,
  records: BackupRecord[],
): Promise<readonly Fault[]> {
  const { catalog, name, context } = verification;
  const fault = (what: string): Fault => ({ what: `backup ${label}: ${what}`, labels: [label] });
  const faults: Fault[] = [];
  let sums: ReadonlyMap<string, string>;
  try {
    sums = await catalog.readSums(name, label, context.signal);
    records.push(await catalog.readRecord(name, label, context.signal));
  } catch (thrown) {
    const code = thrown instanceof SpokeError ? thrown.code : undefined;
    // Expired since it was listed.
    if (code === 'TARGET_NOT_FOUND') return [];
    if (code !== 'BACKUP_DAMAGED' && code !== 'TOOL_UNSUPPORTED') throw thrown;
    return [fault(thrown instanceof Error ? thrown.message : '')];
  }
  for (const object of objects.keys()) {
    if (object !== SUMS_NAME && !sums.has(object)) faults.push(fault(`${object} is not in its ${SUMS_NAME}`));
  }
  for (const [object, sha256] of sums) {
    const info = objects.get(object);
    const found = info === undefined ? undefined : await sha256Of(verification, info.key);
    if (found === undefined) faults.push(fault(`${object} is missing`));
    else if (found !== sha256) faults.push(fault(`${object} is damaged (SHA-256 ${found}, stored was ${sha256})`));
  }
  const record = records.at(-1);
  if (record !== undefined) faults.push(...missingArchives(record, sums).map(fault));
  const manifest = objects.get(MANIFEST_NAME);
  if (faults.length === 0 && manifest !== undefined) faults.push(...(await verifyManifest(verification, manifest)).map(fault));
  return faults;
}

function missingArchives({ archives }: BackupRecord, sums: ReadonlyMap<string, string>): readonly string[] {
  const named = archives.filter(({ name }) => !sums.has(name)).map(({ name }) => `${name} is missing`);
  const hasManifest = [...sums.keys()].some((name) => name.startsWith(MANIFEST_NAME));
  return hasManifest ? named : [...named, `${MANIFEST_NAME} is missing`];
}

async function verifyManifest({ store, context }: Verification, { key }: BlobInfo): Promise<readonly string[]> {
  const bytes = await store.openRead(key, context.signal);
  try {
    if (bytes !== undefined) await readManifest(MANIFEST_NAME, bytes);
    return [];
  } catch (thrown) {
    if (thrown instanceof SpokeError && thrown.code === 'BACKUP_DAMAGED') return [thrown.message];
    throw thrown;
  }
}

/** Undefined where it is gone. */
async function sha256Of({ store, context, onBytes }: Verification, key: string): Promise<string | undefined> {
  const source = await store.openRead(key, context.signal);
  if (source === undefined) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of source) {
    hash.update(chunk);
    onBytes(chunk.length);
  }
  return hash.digest('hex');
}

/** Adds the name of a segment that is whole to `sound`. */
async function verifyWalFile(verification: Verification, info: BlobInfo, sound: Set<string>): Promise<readonly Fault[]> {
  const { parts, store, context, onBytes } = verification;
  const file = walFileOfKey(info.key);
  const fault = (what: string): readonly Fault[] => [{ what: `${info.key}: ${what}`, labels: [] }];
  if (file === undefined) return fault('it is no file of the WAL archive');
  const source = await store.openRead(info.key, context.signal);
  if (source === undefined) return verifyPacked(verification, info, sound);
  const kind = classifyWalFile(file);
  let sizeBytes = 0;
  const head: Uint8Array[] = [];
  try {
    for await (const chunk of reading(parts, info.key, counted(source, onBytes), context)) {
      sizeBytes += chunk.length;
      if (kind === 'history') head.push(chunk);
    }
    if (kind === 'history') parseTimelineHistory(Buffer.concat(head).toString('utf8'), timelineIdOf(Number.parseInt(file.slice(0, 8), 16)));
  } catch (thrown) {
    const isDamage = thrown instanceof RangeError || (thrown instanceof SpokeError && thrown.code === 'BACKUP_DAMAGED');
    if (isDamage) return fault(thrown.message);
    throw thrown;
  }
  const wanted = verification.segmentBytes;
  if (kind === 'segment' && wanted !== undefined && sizeBytes !== wanted) return fault(`it holds ${sizeBytes} bytes, not ${wanted}`);
  if (kind === 'segment') sound.add(file);
  return [];
}

/** Of what is gone since it was listed: expired, or packed, which changes a name. */
async function verifyPacked(verification: Verification, { key }: BlobInfo, sound: Set<string>): Promise<readonly Fault[]> {
  if (!isWalSegmentName(key.slice(key.lastIndexOf('/') + 1))) return [];
  const packed = (await verification.store.list(`${key}.`, verification.context.signal)).find(
    (info) => walFileOfKey(info.key) === walFileOfKey(key),
  );
  return packed === undefined ? [] : verifyWalFile(verification, packed, sound);
}

async function* counted(source: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    onBytes(chunk.length);
    yield chunk;
  }
}

function missingWal(records: readonly BackupRecord[], sound: ReadonlySet<string>): readonly Fault[] {
  return records.flatMap((record) => {
    const { timeline, firstSegment, lastSegment, segmentBytes } = spanOf(record);
    const missing: string[] = [];
    for (let segment = firstSegment; segment <= lastSegment; segment += 1n) {
      const file = walSegmentName(timeline, segment, segmentBytes);
      if (!sound.has(file)) missing.push(file);
    }
    const shown = missing.length > 1 ? `${missing[0]} to ${missing.at(-1)} (${missing.length})` : missing.join('');
    return missing.length === 0
      ? []
      : [
          {
            what: `backup ${record.label}: WAL without which it is not consistent is missing or damaged: ${shown}`,
            labels: [record.label],
          },
        ];
  });
}

function missingReferences(records: readonly BackupRecord[]): readonly Fault[] {
  const present = new Set(records.map(({ label }) => label));
  return records.flatMap(({ label, references }) =>
    references
      .filter((reference) => !present.has(reference))
      .map((reference) => ({ what: `backup ${label}: it needs ${reference}, which is missing or damaged`, labels: [label] })),
  );
}

interface Unreadable {
  readonly why: string;
}

async function readCluster(
  catalog: NativeCatalog,
  name: RepositoryName,
  { signal }: OperationContext,
): Promise<ClusterRecord | Unreadable> {
  try {
    return (await catalog.readCluster(name, signal)) ?? { why: 'it is missing' };
  } catch (thrown) {
    // A repository that does not answer is no damage.
    if (thrown instanceof SpokeError && thrown.cause instanceof RangeError) return { why: thrown.message };
    throw thrown;
  }
}

/** Its text is as we write it, and says what the backups say. */
async function verifyCluster(
  { parts, store, context }: Verification,
  cluster: ClusterRecord | Unreadable,
  records: readonly BackupRecord[],
): Promise<readonly Fault[]> {
  const fault = (what: string): readonly Fault[] => [{ what: `${CLUSTER_KEY}: ${what}`, labels: [] }];
  if ('why' in cluster) return fault(cluster.why);
  const bytes = await store.read(CLUSTER_KEY, context.signal);
  if (bytes === undefined || Buffer.from(bytes).toString('utf8') !== formatClusterRecord(cluster))
    return fault('it is not as it was written');
  if (cluster.cluster !== parts.settings.cluster) return fault(`it is of cluster ${cluster.cluster}`);
  const odd = records.find(
    (record) =>
      record.systemIdentifier !== cluster.systemIdentifier ||
      record.postgresMajor !== cluster.postgresMajor ||
      record.walSegmentBytes !== cluster.walSegmentBytes,
  );
  return odd === undefined ? [] : fault(`it is of another cluster than backup ${odd.label}`);
}

function createMeter(objects: readonly BlobInfo[], { onProgress }: OperationContext): (bytes: number) => void {
  const totalBytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  let told = -1;
  return (bytes) => {
    doneBytes += bytes;
    const percent = totalBytes === 0 ? 0 : Math.min(100, Math.floor((doneBytes / totalBytes) * 100));
    if (percent <= told) return;
    told = percent;
    onProgress?.({ phase: 'verify', percent, doneBytes: BigInt(doneBytes), totalBytes: BigInt(totalBytes) });
  };
}
