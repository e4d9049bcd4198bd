import type { BackupTablespace } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord, RecordedArchive } from '../../../domain/native/backup-record.ts';
import type { Manifest, ManifestWalRange } from '../../../domain/native/manifest.ts';
import { MANIFEST_NAME, type NativeCompressType, storedSuffix } from '../../../domain/native/layout.ts';
import type { Instant } from '../../../domain/time/instant.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { createReadStream } from 'node:fs';
import type { NativeParts } from '../parts.ts';
import type { NativeSettings } from '../settings.ts';
import { storing } from '../transform.ts';
import { copyCluster } from './base-backup.ts';
import { readManifest } from '../incremental/manifest-file.ts';
import type { BasedAttempt } from './attempt.ts';
import { createCopyProgress, type SizeEstimate } from './progress.ts';
import type { ObservedNode } from './source.ts';
import { type ObjectWriter, storeObject, type StoredObject } from './store-objects.ts';

const SERVER_COMPRESSION_SINCE = 15;

/** A copy of the cluster that is in the repositories, but not yet a backup. */
export interface CopiedCluster {
  /** By name: archives and manifest. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly archives: readonly RecordedArchive[];
  readonly manifest: Manifest;
  /** In the work directory. */
  readonly manifestFile: string;
  readonly range: ManifestWalRange;
  readonly hasPageErrors: boolean;
}

/** Copies the cluster into every repository in one pass, and checks what its manifest says of it. */
export async function copyInto(
  parts: NativeParts,
  writer: ObjectWriter,
  attempt: BasedAttempt,
  context: OperationContext,
): Promise<CopiedCluster> {
  const { settings, postgres } = parts;
  const { source, program, work, basis } = attempt;
  const tablespaces = await postgres.observeTablespaces(source.from.address, { signal: context.signal });
  const compressesAtServer = source.from.server.postgresMajor >= SERVER_COMPRESSION_SINCE;
  const objects = new Map<string, StoredObject>();
  const progress = createCopyProgress(context, estimateFrom(writer, basis.kind));
  const counting = { ...writer, onBytes: progress.stored };
  const isEncrypted = settings.encryption !== undefined;
  const tarName = (name: string) => `${name}.tar${compressesAtServer ? `.${settings.compressType}` : ''}`;
  const storedName = (name: string) => `${name}.tar${storedSuffix(settings.compressType, isEncrypted)}`;
  const archives = ['base', ...tablespaces.map(({ oid }) => String(oid))];
  const result = await copyCluster(
    parts,
    {
      ...{ address: source.from.address, program, work, onLine: progress.line },
      archives: archives.map(tarName),
      options: [
        ...(compressesAtServer ? [`--compress=${serverCompression(settings)}`] : []),
        ...(settings.maxRateKib === undefined ? [] : [`--max-rate=${settings.maxRateKib}k`]),
        ...(basis.kind === 'incr' ? [`--incremental=${basis.manifestFile}`] : []),
      ],
      async take(tar, bytes) {
        const name = storedName(tar.slice(0, tar.indexOf('.')));
        const compressType = compressesAtServer ? undefined : settings.compressType;
        objects.set(name, await storeObject(counting, name, storing(parts, compressType, bytes, context)));
      },
    },
    context,
  );
  const manifest = await checkedManifest(result.manifestFile, source.from);
  const manifestName = `${MANIFEST_NAME}${isEncrypted ? '.age' : ''}`;
  const text = storing(parts, undefined, createReadStream(result.manifestFile), context);
  objects.set(manifestName, await storeObject(writer, manifestName, text));
  progress.complete();
  return {
    ...{ objects, manifest, manifestFile: result.manifestFile, range: onlyRange(manifest), hasPageErrors: result.hasPageErrors },
    archives: archivesOf(tablespaces, objects, storedName),
  };
}

/** What the newest backup of its kind tells. */
function estimateFrom({ destinations }: ObjectWriter, type: BackupRecord['type']): SizeEstimate | undefined {
  const newest = destinations[0]?.records.findLast((record) => record.type === type);
  return newest === undefined ? undefined : { databaseBytes: newest.fileBytes, storedBytes: newest.storedBytes };
}

/** `server-zstd:level=3` */
function serverCompression({ compressType, compressLevel }: NativeSettings): string {
  const methods: Readonly<Record<NativeCompressType, string>> = { zst: 'zstd', lz4: 'lz4' };
  return `server-${methods[compressType]}:level=${compressLevel}`;
}

async function checkedManifest(path: string, { name, server }: ObservedNode): Promise<Manifest> {
  const manifest = await readManifest(`the manifest of the backup from ${name}`, createReadStream(path));
  const { systemIdentifier } = manifest;
  if (systemIdentifier !== undefined && systemIdentifier !== server.systemIdentifier)
    throw new SpokeError(
      'REFUSED_WRONG_CLUSTER',
      `the backup from ${name} is of system identifier ${systemIdentifier}, not ${server.systemIdentifier}`,
    );
  return manifest;
}

/** A backup that the timeline changed under is none. */
function onlyRange({ walRanges }: Manifest): ManifestWalRange {
  const [range, second] = walRanges;
  if (range === undefined || second !== undefined)
    throw new SpokeError('TOOL_FAILED', 'the server was promoted, or followed a promotion, while it was backed up: nothing was kept', {
      hint: 'Repeat the backup: spoke-backup backup',
    });
  return range;
}

function archivesOf(
  tablespaces: readonly BackupTablespace[],
  objects: ReadonlyMap<string, StoredObject>,
  storedName: (name: string) => string,
): readonly RecordedArchive[] {
  const archiveOf = (name: string) => ({ name: storedName(name), storedBytes: objects.get(storedName(name))?.sizeBytes ?? 0n });
  return [
    archiveOf('base'),
    ...tablespaces.map(({ oid, name, location }) => ({
      ...archiveOf(String(oid)),
      ...{ tablespaceOid: oid, tablespaceName: name, tablespaceLocation: location },
    })),
  ];
}

/** When the copy was there, by the clock of the server that it is of; still the same one, on the same timeline. */
export async function timeAfter(
  { postgres }: NativeParts,
  { name, address }: ObservedNode,
  { range }: CopiedCluster,
  { signal }: OperationContext,
): Promise<Instant> {
  const after = await postgres.observeServer(address, { signal });
  if (after.timeline !== range.timeline)
    throw new SpokeError(
      'TOOL_FAILED',
      `${name} went from timeline ${range.timeline} to ${after.timeline} while it was backed up: nothing was kept`,
      {
        hint: 'Repeat the backup: spoke-backup backup',
      },
    );
  return after.serverTime;
}
