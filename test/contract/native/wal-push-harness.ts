import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configurationText, recipientsText } from '../../../src/adapters/native/wal/configuration-text.ts';
import type { NativeRepository, NativeSettings } from '../../../src/adapters/native/settings.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';

export const PROGRAM = join(import.meta.dirname, '../../../bin/spoke-wal-push');
export const SYSTEM_IDENTIFIER = 7_300_000_000_000_000_001n;
export const MEBIBYTE = 1024 * 1024;

/** Of PostgreSQL 15 (xlog_internal.h: XLOG_PAGE_MAGIC). */
const MAGIC = 0xd110;
const LONG_HEADER = 0x0002;

export interface SegmentOptions {
  readonly bytes?: number;
  readonly systemIdentifier?: bigint;
  readonly magic?: number;
  readonly timeline?: number;
  /** What follows the header; random where it is not given. */
  readonly filling?: number;
  /** The whole name of the segment whose position the header gives; the file's own where it is not given. */
  readonly positionOf?: string;
}

/** A file as PostgreSQL writes it, as far as its first page's header goes (XLogLongPageHeaderData). */
export function segmentBytes(name: string, options: SegmentOptions = {}): Buffer {
  const { bytes = MEBIBYTE, systemIdentifier = SYSTEM_IDENTIFIER, magic = MAGIC, filling, positionOf = name } = options;
  const content = filling === undefined ? randomBytes(bytes) : Buffer.alloc(bytes, filling);
  content.writeUInt16LE(magic, 0);
  content.writeUInt16LE(LONG_HEADER, 2);
  content.writeUInt32LE(options.timeline ?? Number.parseInt(name.slice(0, 8), 16), 4);
  const low = BigInt(`0x${positionOf.slice(16, 24)}`) * BigInt(bytes);
  content.writeBigUInt64LE((BigInt(`0x${positionOf.slice(8, 16)}`) << 32n) + low, 8);
  content.writeBigUInt64LE(0n, 16);
  content.writeBigUInt64LE(systemIdentifier, 24);
  content.writeUInt32LE(bytes, 32);
  content.writeUInt32LE(8192, 36);
  return content;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly ms: number;
}

export interface PushPlace {
  /** Of everything. */
  readonly directory: string;
  readonly dataDirectory: string;
  readonly spool: string;
  readonly settings: NativeSettings;
  readonly conf: string;
  rootOf(name: string): string;
  /** Writes a file into pg_wal; resolves with its path as PostgreSQL gives it for %p. */
  wal(name: string, content?: Uint8Array): Promise<string>;
  /** Runs the program in the data directory. */
  push(path: string, options?: PushOptions): Promise<Ended>;
  start(path: string, options?: PushOptions): { readonly child: ChildProcess; readonly ended: Promise<Ended> };
  /** Everything below a directory, sorted, as paths below it. */
  files(directory: string): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export interface PushOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What the program is started by: an argument vector before its own path. */
  readonly through?: readonly string[];
  readonly conf?: string;
}

export interface PlaceOptions extends Partial<Pick<NativeSettings, 'ack' | 'ackTimeoutSeconds' | 'encryption' | 'compressType'>> {
  /** Names of local repositories. */
  readonly locals?: readonly string[];
  /** Names of repositories elsewhere. */
  readonly remotes?: readonly string[];
  /** In place of the test's own. */
  readonly root?: string;
  readonly directoryName?: string;
}

/** A data directory, repositories and a spool, as `setup archiving` leaves them. */
export async function createPlace(options: PlaceOptions = {}): Promise<PushPlace> {
  const directory = await mkdtemp(join(options.root ?? tmpdir(), options.directoryName ?? 'push'));
  const dataDirectory = join(directory, 'data');
  const rootOf = (name: string) => join(directory, `repository ${name}`);
  const settings = settingsOf(directory, rootOf, options);
  const spool = join(settings.directory, 'spool');
  await mkdir(join(dataDirectory, 'pg_wal/archive_status'), { recursive: true });
  for (const { name, kind } of settings.repositories) {
    await mkdir(join(spool, 'todo', name), { recursive: true });
    if (kind === 'local') await writeCluster(rootOf(name));
  }
  if ((options.locals ?? ['local']).length === 0) await writeCluster(join(spool, 'home'));
  for (const name of ['errors', 'failed', 'sums', 'pack']) await mkdir(join(spool, name), { recursive: true });
  const conf = join(settings.directory, 'wal.conf');
  await writeFile(conf, configurationText(settings));
  await writeFile(join(settings.directory, 'recipients'), recipientsText(settings));
  const start = (path: string, more: PushOptions = {}) => startPush(dataDirectory, [PROGRAM, '-c', more.conf ?? conf, path], more);
  return {
    ...{ directory, dataDirectory, spool, settings, conf, rootOf, start },
    push: (path, more) => start(path, more).ended,
    async wal(name, content = segmentBytes(name)) {
      await writeFile(join(dataDirectory, 'pg_wal', name), content);
      return `pg_wal/${name}`;
    },
    async files(below) {
      const entries = await readdir(below, { recursive: true, withFileTypes: true }).catch(() => []);
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(below.length + 1))
        .sort();
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export async function writeCluster(root: string, systemIdentifier = SYSTEM_IDENTIFIER): Promise<void> {
  await mkdir(root, { recursive: true });
  const record = {
    layoutVersion: 1,
    cluster: 'main',
    systemIdentifier: String(systemIdentifier),
    postgresMajor: 15,
    walSegmentBytes: MEBIBYTE,
  };
  await writeFile(join(root, 'cluster.json'), `${JSON.stringify(record, undefined, 2)}\n`);
}

function settingsOf(directory: string, rootOf: (name: string) => string, options: PlaceOptions): NativeSettings {
  const { locals = ['local'], remotes = [], ack = 'local', ackTimeoutSeconds = 5, compressType = 'zst' } = options;
  const noStore = () => Promise.reject(new Error('the program opens no store'));
  const repositories = [
    ...locals.map((name) => ({ name, kind: 'local' as const, directory: rootOf(name) })),
    ...remotes.map((name) => ({ name, kind: 's3' as const })),
  ];
  return {
    cluster: 'main',
    directory: join(directory, "spoke's state"),
    programDirectory: join(PROGRAM, '..'),
    binDirectoryOf: () => Promise.reject(new Error('no program of PostgreSQL is needed')),
    ...{ compressType, compressLevel: 1, backupFrom: 'primary', ack, ackTimeoutSeconds, nodes: [] },
    ...(options.encryption === undefined ? {} : { encryption: options.encryption }),
    repositories: repositories.map(
      (repository): NativeRepository => ({ ...repository, name: repository.name as RepositoryName, retentionDays: 7, open: noStore }),
    ),
  };
}

function startPush(cwd: string, command: readonly string[], { env, through = [] }: PushOptions) {
  const begun = performance.now();
  const [file = '', ...argv] = [...through, ...command];
  const child = spawn(file, argv, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stderr, ms: performance.now() - begun }));
  });
  return { child, ended };
}

/** A note of a shipper, or of a packer, that lives: this process. */
export async function noteLiving(spool: string, what: 'shipper' | 'packer', pid = process.pid): Promise<void> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  await writeFile(join(spool, what), `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}\n`);
}
