import { lstat, readdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SpokeError } from '../errors.ts';

/** What keeps the repositories of a lab; with both there is one of each kind for each. */
export type LabEngine = 'pgbackrest' | 'native' | 'both';

/** One server of the lab. */
export interface LabNode {
  readonly name: string;
  /** By the unix socket, where no password is asked for. */
  readonly url: string;
  readonly dataDirectory: string;
  readonly port: number;
  readonly socketDirectory: string;
  /** stdout and stderr of the server. */
  readonly logFile: string;
}

/** The S3 repository's server. */
export interface LabS3 {
  /** ceph: the lab's own; external: named by the environment. */
  readonly kind: 'ceph' | 'external';
  readonly description: string;
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** Where in the bucket the repository is; begins with `/`. */
  readonly pathPrefix: string;
  readonly caFile?: string;
  readonly accessKeyFile: string;
  readonly secretKeyFile: string;
}

/** What a lab is and how it is reached. Holds no secret. */
export interface LabDescription {
  readonly schema: 1;
  readonly directory: string;
  /** The configuration file for spoke-backup. */
  readonly config: string;
  readonly stateDirectory: string;
  readonly primary: LabNode;
  readonly standbys: readonly LabNode[];
  readonly s3?: LabS3;
  /** libpq's password file, for connections by TCP to 127.0.0.1. */
  readonly passwordFile: string;
  readonly postgresVersion: string;
  readonly postgresqlBinDirectory: string;
  /** Which engines keep the repositories. */
  readonly engine: LabEngine;
  /** Absent where pgBackRest keeps none. */
  readonly pgbackrestVersion?: string;
  /** The operating system user that the servers run as. */
  readonly osUser: string;
}

/** lab.json: makes a directory a lab, so that nothing else is ever taken down. */
export interface LabFile extends LabDescription {
  readonly kind: 'spoke-backup lab';
  readonly state: 'creating' | 'ready';
  /** Who makes or made it. */
  readonly creator: { readonly pid: number; readonly startIdentity: string };
}

const LAB_FILE = 'lab.json';
/** Of the directories that are made where none is named. */
export const LAB_DIRECTORY_PREFIX = 'spoke-lab-';

/** Writes lab.json, in one step. */
export async function writeLabFile(directory: string, file: LabFile): Promise<void> {
  const path = join(directory, LAB_FILE);
  await writeFile(`${path}.tmp`, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o644 });
  await rename(`${path}.tmp`, path);
}

/**
 * Reads the lab in `directory`; undefined where nothing is there. Throws REFUSED_UNSAFE_DIRECTORY for anything that is not a
 * lab, or not our own: what lab.json says is acted upon.
 */
export async function readLabFile(directory: string): Promise<LabFile | undefined> {
  const path = resolve(directory);
  const stats = await lstat(path).catch(unlessAbsent);
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) throw notALab(path, 'it is not a directory');
  if (stats.uid !== process.getuid?.()) throw notALab(path, `it belongs to another user (uid ${stats.uid}), who has to do this`);
  const marker = await lstat(join(path, LAB_FILE)).catch(unlessAbsent);
  if (marker === undefined) throw notALab(path, `it holds no ${LAB_FILE}`);
  if (!marker.isFile() || marker.uid !== stats.uid) throw notALab(path, `its ${LAB_FILE} is not a file of ours`);
  const file = parseLabFile(await readFile(join(path, LAB_FILE), 'utf8'));
  if (file === undefined) throw notALab(path, `its ${LAB_FILE} was not written by a lab`);
  if (file.directory !== (await realpath(path))) throw notALab(path, `its ${LAB_FILE} belongs to ${file.directory}`);
  return file;
}

function parseLabFile(text: string): LabFile | undefined {
  try {
    const file = JSON.parse(text) as Partial<LabFile>;
    return file.kind === 'spoke-backup lab' && file.schema === 1 ? (file as LabFile) : undefined;
  } catch {
    return undefined;
  }
}

/** The lab in `directory`; throws USAGE where there is nothing. */
export async function requireLab(directory: string): Promise<LabFile> {
  const file = await readLabFile(directory);
  if (file === undefined) throw new SpokeError('USAGE', `There is no lab in ${directory}.`, { hint: 'Make one: spoke-backup lab up' });
  return file;
}

/** The labs of this user that were made without naming a directory. */
async function findLabs(): Promise<readonly string[]> {
  const base = await realpath(tmpdir());
  const paths = (await readdir(base)).filter((name) => name.startsWith(LAB_DIRECTORY_PREFIX)).map((name) => join(base, name));
  const files = await Promise.all(paths.map((path) => readLabFile(path).catch(() => undefined)));
  return files.flatMap((file) => (file === undefined ? [] : [file.directory]));
}

/** The directory of the lab that is meant where none is named. Throws USAGE where there is none, or more than one. */
export async function findOnlyLab(): Promise<string> {
  const labs = await findLabs();
  const [only] = labs;
  if (only !== undefined && labs.length === 1) return only;
  if (only === undefined) throw new SpokeError('USAGE', `There is no lab below ${tmpdir()}.`, { hint: 'Make one: spoke-backup lab up' });
  throw new SpokeError('USAGE', `There are ${labs.length} labs: ${labs.join(', ')}`, { hint: `Name the one that is meant: --dir ${only}` });
}

function notALab(path: string, why: string): SpokeError {
  return new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is not a lab of ours: ${why}.`, {
    hint: 'Name the directory that lab up printed: --dir <path>',
  });
}

function unlessAbsent(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === 'ENOENT') return undefined;
  throw thrown;
}
