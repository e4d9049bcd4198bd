import { SpokeError } from '../../errors.ts';
import type { BackupLabel } from '../catalog/base-backup.ts';
import { formatLsn, parseLsn } from '../postgres/lsn.ts';
import { parseSystemIdentifier } from '../postgres/system-identifier.ts';
import { timelineIdOf } from '../postgres/timeline.ts';
import { assertWalSegmentSize } from '../postgres/wal-segment.ts';
import { formatInstantIso, type Instant, parsePostgresTimestamp } from '../time/instant.ts';
import type { BackupRecord, RecordedArchive } from './backup-record.ts';
import type { ClusterRecord } from './cluster-record.ts';
import { type JsonFields, readJsonObject } from './json-fields.ts';
import { isNativeLabel } from './label.ts';
import { LAYOUT_VERSION, type NativeCompressType } from './layout.ts';

/** The text of a `cluster.json`. */
export function formatClusterRecord(record: ClusterRecord): string {
  return textOf({
    layoutVersion: record.layoutVersion,
    cluster: record.cluster,
    systemIdentifier: String(record.systemIdentifier),
    postgresMajor: record.postgresMajor,
    walSegmentBytes: record.walSegmentBytes,
  });
}

/** Throws RangeError for what is none; TOOL_UNSUPPORTED where a newer layout is said. */
export function parseClusterRecord(text: string): ClusterRecord {
  const fields = readJsonObject(text);
  const layoutVersion = layoutVersionOf(fields, 'this repository');
  return {
    layoutVersion,
    cluster: fields.text('cluster'),
    systemIdentifier: parseSystemIdentifier(fields.text('systemIdentifier')),
    postgresMajor: fields.count('postgresMajor'),
    walSegmentBytes: segmentBytesOf(fields),
  };
}

/** The text of a `backup.json`: numbers that may be large as texts of digits, positions as PostgreSQL prints them, times in UTC. */
export function formatBackupRecord(record: BackupRecord): string {
  return textOf({
    layoutVersion: record.layoutVersion,
    label: record.label,
    type: record.type,
    fullBecause: record.fullBecause,
    prior: record.prior,
    references: record.references,
    runId: record.runId,
    systemIdentifier: String(record.systemIdentifier),
    postgresMajor: record.postgresMajor,
    walSegmentBytes: record.walSegmentBytes,
    timeline: record.timeline,
    startLsn: formatLsn(record.startLsn),
    stopLsn: formatLsn(record.stopLsn),
    startTime: formatInstantIso(record.startTime),
    stopTime: formatInstantIso(record.stopTime),
    databaseBytes: String(record.databaseBytes),
    fileBytes: String(record.fileBytes),
    storedBytes: String(record.storedBytes),
    dataChecksums: record.dataChecksums,
    hasPageErrors: record.hasPageErrors,
    source: { node: record.source.node, inRecovery: record.source.inRecovery },
    compressType: record.compressType,
    recipients: record.recipients,
    archives: record.archives.map(archiveToJson),
    madeBy: record.madeBy,
  });
}

/**
 * Reads a `backup.json` of the folder `label`. Throws RangeError, saying what is wrong, for what is none or is another backup's;
 * TOOL_UNSUPPORTED where a newer layout is said.
 */
export function parseBackupRecord(text: string, label: BackupLabel): BackupRecord {
  const fields = readJsonObject(text);
  const layoutVersion = layoutVersionOf(fields, `backup ${label}`);
  if (fields.text('label') !== label) throw new RangeError(`it is the record of ${fields.text('label')}`);
  const prior = fields.optionalText('prior');
  const fullBecause = fields.optionalText('fullBecause');
  const source = fields.object('source');
  return {
    layoutVersion,
    label,
    type: oneOf(fields, 'type', ['full', 'incr']),
    ...(fullBecause === undefined ? {} : { fullBecause }),
    ...(prior === undefined ? {} : { prior: asLabel(prior) }),
    references: fields.texts('references').map(asLabel),
    runId: fields.text('runId'),
    systemIdentifier: parseSystemIdentifier(fields.text('systemIdentifier')),
    postgresMajor: fields.count('postgresMajor'),
    walSegmentBytes: segmentBytesOf(fields),
    timeline: timelineIdOf(fields.count('timeline')),
    startLsn: parseLsn(fields.text('startLsn')),
    stopLsn: parseLsn(fields.text('stopLsn')),
    startTime: instantOf(fields.text('startTime')),
    stopTime: instantOf(fields.text('stopTime')),
    databaseBytes: fields.bytes('databaseBytes'),
    fileBytes: fields.bytes('fileBytes'),
    storedBytes: fields.bytes('storedBytes'),
    dataChecksums: fields.flag('dataChecksums'),
    hasPageErrors: fields.flag('hasPageErrors'),
    source: { node: source.text('node'), inRecovery: source.flag('inRecovery') },
    compressType: oneOf(fields, 'compressType', ['zst', 'lz4'] satisfies NativeCompressType[]),
    recipients: fields.texts('recipients'),
    archives: fields.objects('archives').map(archiveOf),
    madeBy: fields.texts('madeBy'),
  };
}

function archiveToJson({ name, tablespaceOid, tablespaceLocation, tablespaceName, storedBytes }: RecordedArchive) {
  return { name, tablespaceOid, tablespaceLocation, tablespaceName, storedBytes: String(storedBytes) };
}

function archiveOf(fields: JsonFields): RecordedArchive {
  const oid = fields.optionalCount('tablespaceOid');
  const archive = { name: fields.text('name'), storedBytes: fields.bytes('storedBytes') };
  if (archive.name.includes('/') || archive.name.startsWith('.')) throw new RangeError(`"${archive.name}" is not the name of an archive`);
  if (oid === undefined) return archive;
  return {
    ...archive,
    tablespaceOid: oid,
    tablespaceLocation: fields.text('tablespaceLocation'),
    tablespaceName: fields.text('tablespaceName'),
  };
}

function layoutVersionOf(fields: JsonFields, what: string): number {
  const version = fields.count('layoutVersion');
  if (version > LAYOUT_VERSION)
    throw new SpokeError('TOOL_UNSUPPORTED', `${what} has layout ${version}, and this version knows layouts up to ${LAYOUT_VERSION}`, {
      hint: 'Install the version of spoke-backup that wrote it, or a newer one.',
    });
  return version;
}

function segmentBytesOf(fields: JsonFields): number {
  const sizeBytes = fields.count('walSegmentBytes');
  assertWalSegmentSize(sizeBytes);
  return sizeBytes;
}

function instantOf(iso: string): Instant {
  return parsePostgresTimestamp(iso.replace('T', ' ').replace(/Z$/, '+00'));
}

function asLabel(text: string): BackupLabel {
  if (!isNativeLabel(text)) throw new RangeError(`"${text}" is not the label of a backup`);
  return text;
}

function oneOf<T extends string>(fields: JsonFields, name: string, values: readonly T[]): T {
  const found = fields.text(name);
  const value = values.find((one) => one === found);
  if (value === undefined) throw new RangeError(`"${name}" is none of ${values.join(', ')}`);
  return value;
}

function textOf(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
