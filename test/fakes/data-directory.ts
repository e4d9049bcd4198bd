import type { Lsn } from '../../src/domain/postgres/lsn.ts';
import { formatLsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import type { ControlData, FileOwner } from '../../src/ports/instance.ts';
import type { FakeDirectory, FakeFileSystem } from './file-system.ts';
import { fileIn, nodeIn } from './file-system.ts';

export const POSTGRES_MAJOR = 15;
export const SEGMENT_SIZE_BYTES = 16 * 1024 * 1024;

/** What the fake pg_control says. */
export interface FakeControl {
  readonly systemIdentifier: string;
  readonly state: string;
  readonly timeline: number;
  /** Where recovery begins. */
  readonly redo: string;
  /** Up to where recovery has to come before anybody may connect (minRecoveryPoint, the end of the backup). */
  readonly consistentAt: string;
}

/** What of the WAL is in the tables. */
export interface FakeContent {
  readonly lsn: string;
  readonly timeline: number;
}

const CONTROL = 'global/pg_control';
const CONTENT = 'base/1';
/** Files that a data directory needs beside: without one of them it is incomplete. */
const OTHER_FILES = ['base/2', 'base/3', 'pg_xact/0000'];

export interface FakeDataDirectorySpec {
  readonly control: FakeControl;
  readonly content: FakeContent;
  readonly owner: FileOwner;
  readonly postgresqlConf?: string;
  readonly autoConf?: string;
  readonly tablespaces?: readonly { readonly oid: number; readonly location: string }[];
}

/** The files of a data directory in the order in which a restore writes them: pg_control last. */
export function dataDirectoryFiles(spec: FakeDataDirectorySpec): readonly (readonly [path: string, content: string])[] {
  return [
    ['PG_VERSION', `${POSTGRES_MAJOR}\n`],
    ...(spec.postgresqlConf === undefined ? [] : [['postgresql.conf', spec.postgresqlConf] as const]),
    ['postgresql.auto.conf', spec.autoConf ?? ''],
    ...OTHER_FILES.map((path) => [path, 'rows'] as const),
    [CONTENT, JSON.stringify(spec.content)],
    [CONTROL, JSON.stringify(spec.control)],
  ];
}

/** Writes one file with the folders it is in. */
export function putFile(fs: FakeFileSystem, directoryPath: string, path: string, content: string, owner: FileOwner): void {
  const folder = path.split('/').slice(0, -1).join('/');
  fs.makeDirectory(`${directoryPath}/${folder}`, owner);
  fs.writeFile(`${directoryPath}/${path}`, content);
}

export function writeDataDirectory(fs: FakeFileSystem, path: string, spec: FakeDataDirectorySpec): FakeDirectory {
  const directory = fs.makeDirectory(path, spec.owner);
  directory.owner = spec.owner;
  fs.makeDirectory(`${path}/pg_wal`, spec.owner);
  fs.makeDirectory(`${path}/pg_tblspc`, spec.owner);
  for (const { oid, location } of spec.tablespaces ?? []) writeTablespace(fs, path, { oid, location }, spec.owner);
  for (const [name, content] of dataDirectoryFiles(spec)) putFile(fs, path, name, content, spec.owner);
  return directory;
}

export function writeTablespace(
  fs: FakeFileSystem,
  dataDirectory: string,
  { oid, location }: { readonly oid: number; readonly location: string },
  owner: FileOwner,
): void {
  putFile(fs, location, `PG_${POSTGRES_MAJOR}/1`, 'rows', owner);
  fs.link(`${dataDirectory}/pg_tblspc/${oid}`, location);
}

export function isDataDirectory(directory: FakeDirectory): boolean {
  return fileIn(directory, 'PG_VERSION') !== undefined;
}

export function readControl(directory: FakeDirectory): FakeControl | undefined {
  const file = fileIn(directory, CONTROL);
  return file === undefined ? undefined : (JSON.parse(file.content) as FakeControl);
}

export function updateControl(directory: FakeDirectory, change: Partial<FakeControl>): void {
  const [file, control] = [fileIn(directory, CONTROL), readControl(directory)];
  if (file !== undefined && control !== undefined) file.content = JSON.stringify({ ...control, ...change });
}

export function readContent(directory: FakeDirectory): FakeContent | undefined {
  const file = fileIn(directory, CONTENT);
  return file === undefined ? undefined : (JSON.parse(file.content) as FakeContent);
}

export function writeContent(directory: FakeDirectory, lsn: Lsn, timeline: number): void {
  const file = fileIn(directory, CONTENT);
  if (file !== undefined) file.content = JSON.stringify({ lsn: formatLsn(lsn), timeline } satisfies FakeContent);
}

export function hasFile(directory: FakeDirectory, path: string): boolean {
  return fileIn(directory, path) !== undefined;
}

/** Symbolic links in pg_tblspc. */
export function tablespacesOf(directory: FakeDirectory): readonly { oid: number; location: string }[] {
  const folder = nodeIn(directory, 'pg_tblspc');
  if (folder?.kind !== 'directory') return [];
  return [...folder.children].flatMap(([oid, node]) => (node.kind === 'link' ? [{ oid: Number(oid), location: node.target }] : []));
}

/** Whether a server could be started in here at all, complete or not. */
export function isStartable(directory: FakeDirectory): boolean {
  return isDataDirectory(directory) && hasFile(directory, CONTROL) && whyClosed(directory) === undefined;
}

/** What a postmaster says of a directory that was closed for pg_rewind (ValidatePgVersion, PostmasterMain); undefined where it would start. */
export function whyClosed(directory: FakeDirectory): string | undefined {
  const version = fileIn(directory, 'PG_VERSION')?.content;
  if (version !== undefined && !/^\d/.test(version)) return 'File "PG_VERSION" does not contain valid data';
  const { superuser_reserved_connections: reserved = '3', max_connections: connections = '100' } = parseSettings(
    fileIn(directory, 'postgresql.auto.conf')?.content ?? '',
  );
  return Number(reserved) < Number(connections) ? undefined : 'superuser_reserved_connections must be less than max_connections';
}

/** Whether every file is there, those in tablespaces too. */
export function isComplete(fs: FakeFileSystem, directory: FakeDirectory): boolean {
  const files = ['PG_VERSION', 'postgresql.auto.conf', CONTENT, CONTROL, ...OTHER_FILES];
  const tablespaces = tablespacesOf(directory).map(({ location }) => fs.readFile(`${location}/PG_${POSTGRES_MAJOR}/1`));
  return files.every((file) => hasFile(directory, file)) && tablespaces.every((content) => content !== undefined);
}

/** As pg_controldata prints it. */
export function controlDataOf(directory: FakeDirectory): ControlData | undefined {
  const control = readControl(directory);
  if (control === undefined) return undefined;
  return {
    systemIdentifier: BigInt(control.systemIdentifier) as ControlData['systemIdentifier'],
    state: control.state,
    timeline: timelineIdOf(control.timeline),
    checkpointLsn: parseLsn(control.redo),
    redoLsn: parseLsn(control.redo),
    walSegmentSizeBytes: SEGMENT_SIZE_BYTES,
    dataChecksums: true,
    standbySettings: { max_connections: '100' },
  };
}

/** Name and value of every setting in a configuration file; the last one counts, as in PostgreSQL. */
export function parseSettings(text: string): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^\s*([a-z_]+)\s*=\s*'((?:[^']|'')*)'/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) settings[match[1]] = match[2].replaceAll("''", "'");
  }
  return settings;
}

export function formatSettings(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}
