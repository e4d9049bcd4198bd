import { type Lsn, parseLsn } from '../postgres/lsn.ts';
import { parseSystemIdentifier, type SystemIdentifier } from '../postgres/system-identifier.ts';
import { type TimelineId, timelineIdOf } from '../postgres/timeline.ts';

/** WAL that a backup needs: from its start to its end, on one timeline. */
export interface ManifestWalRange {
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

/** What a `backup_manifest` says, but for its list of files: that can be millions of lines long. */
export interface Manifest {
  readonly version: 1 | 2;
  /** From version 2 on (PostgreSQL 17). */
  readonly systemIdentifier?: SystemIdentifier;
  readonly fileCount: number;
  /** Of these, the ones that hold changed blocks alone: only an incremental backup has any. */
  readonly incrementalFileCount: number;
  /** Sum of the files' sizes as they are in the backup: of a full one the size of the cluster. */
  readonly fileBytes: bigint;
  /** One, or several where the server changed its timeline meanwhile. */
  readonly walRanges: readonly ManifestWalRange[];
  /** What its last line claims: SHA-256 of everything before that line, in hexadecimal. */
  readonly checksum: string;
}

/** Reads a manifest line by line. */
export interface ManifestReader {
  /** The next line, without its line feed. Throws RangeError. */
  line(text: string): void;
  /** Throws RangeError where lines are missing. */
  end(): Manifest;
}

/** How the line with the checksum begins. It is the last one, and not part of what the checksum is of. */
export const MANIFEST_CHECKSUM_PREFIX = '"Manifest-Checksum"';

const VERSION_LINE = /^\{ "PostgreSQL-Backup-Manifest-Version": (\d+),$/;
const SYSTEM_IDENTIFIER_LINE = /^"System-Identifier": (\d+),$/;
const FILES_LINE = '"Files": [';
const WAL_RANGES_LINE = '"WAL-Ranges": [';
const END_OF_LIST = /^\],?$/;
const CHECKSUM_LINE = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/;
/** Of the last part of a path: changed blocks alone, where relations lie. */
const INCREMENTAL_FILE = /^(?:base\/|global\/|pg_tblspc\/).*INCREMENTAL\.[^/]*$/;

type Section = 'version' | 'head' | 'files' | 'between' | 'ranges' | 'checksum' | 'done';
type State = { -readonly [K in keyof Manifest]?: Manifest[K] } & {
  section: Section;
  fileCount: number;
  incrementalFileCount: number;
  fileBytes: bigint;
  walRanges: ManifestWalRange[];
};

/**
 * PostgreSQL writes one file a line (AddFileToBackupManifest, backup_manifest.c; pg_combinebackup does the same), so it is read as lines and
 * holds one line and a few numbers in memory, however many files there are. Whether its checksum is right is for the caller to compare.
 */
export function createManifestReader(): ManifestReader {
  const state: State = { section: 'version', fileCount: 0, incrementalFileCount: 0, fileBytes: 0n, walRanges: [] };
  return {
    line(text) {
      state.section = readLine(state, text);
    },
    end() {
      const { section, version, checksum, systemIdentifier, fileCount, incrementalFileCount, fileBytes, walRanges } = state;
      if (section !== 'done' || version === undefined || checksum === undefined) throw new RangeError('the backup manifest ends early');
      const identity = systemIdentifier === undefined ? {} : { systemIdentifier };
      return { version, ...identity, fileCount, incrementalFileCount, fileBytes, walRanges, checksum };
    },
  };
}

function readLine(state: State, text: string): Section {
  switch (state.section) {
    case 'version':
      state.version = versionOf(text);
      return 'head';
    case 'head':
      return readHead(state, text);
    case 'files':
      if (END_OF_LIST.test(text)) return 'between';
      countFile(state, entryOf(text));
      return 'files';
    case 'between':
      if (text !== WAL_RANGES_LINE) throw unexpected(text);
      return 'ranges';
    case 'ranges':
      if (END_OF_LIST.test(text)) return 'checksum';
      state.walRanges.push(walRangeOf(entryOf(text)));
      return 'ranges';
    case 'checksum':
      state.checksum = CHECKSUM_LINE.exec(text)?.[1] ?? throwUnexpected(text);
      return 'done';
    case 'done':
      throw unexpected(text);
  }
}

function readHead(state: State, text: string): Section {
  const isIdentified = state.systemIdentifier !== undefined;
  const [, identifier] = SYSTEM_IDENTIFIER_LINE.exec(text) ?? [];
  if (identifier !== undefined && !isIdentified && state.version === 2) {
    state.systemIdentifier = parseSystemIdentifier(identifier);
    return 'head';
  }
  if (text !== FILES_LINE || isIdentified !== (state.version === 2)) throw unexpected(text);
  return 'files';
}

function versionOf(text: string): 1 | 2 {
  const [, version] = VERSION_LINE.exec(text) ?? [];
  if (version === undefined) throw unexpected(text);
  if (version !== '1' && version !== '2') throw new RangeError(`the backup manifest has version ${version}, which is not known here`);
  return version === '1' ? 1 : 2;
}

function countFile(state: State, entry: Readonly<Record<string, unknown>>): void {
  const path = entry['Path'];
  const size = entry['Size'];
  if (typeof path !== 'string' && typeof entry['Encoded-Path'] !== 'string')
    throw new RangeError('a file of the backup manifest has no path');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new RangeError('a file of the backup manifest has no size');
  state.fileCount += 1;
  state.fileBytes += BigInt(size);
  if (typeof path === 'string' && INCREMENTAL_FILE.test(path)) state.incrementalFileCount += 1;
}

function walRangeOf(entry: Readonly<Record<string, unknown>>): ManifestWalRange {
  const { Timeline: timeline, 'Start-LSN': start, 'End-LSN': end } = entry;
  if (typeof timeline !== 'number' || typeof start !== 'string' || typeof end !== 'string')
    throw new RangeError('a range of WAL in the backup manifest is not whole');
  return { timeline: timelineIdOf(timeline), startLsn: parseLsn(start), endLsn: parseLsn(end) };
}

/** One object of a list, which a comma may follow. */
function entryOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text.endsWith(',') ? text.slice(0, -1) : text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw unexpected(text);
}

function throwUnexpected(text: string): never {
  throw unexpected(text);
}

function unexpected(text: string): RangeError {
  return new RangeError(`the backup manifest has an unexpected line: ${JSON.stringify(text.slice(0, 80))}`);
}
