import type { Lsn } from '../domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../domain/postgres/system-identifier.ts';
import type { TimelineId } from '../domain/postgres/timeline.ts';
import type { OperationContext } from './operation.ts';

/** What pg_controldata tells of a data directory. */
export interface ControlData {
  readonly systemIdentifier: SystemIdentifier;
  /** As PostgreSQL words it: `in production`, `shut down`, `in archive recovery`, `shut down in recovery` … */
  readonly state: string;
  readonly timeline: TimelineId;
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly walSegmentSizeBytes: number;
  readonly dataChecksums: boolean;
  /** As the server ran last; absent where pg_controldata does not print it. */
  readonly walLogHints?: boolean;
  /** Settings that a hot standby must not undercut: max_connections, max_worker_processes, … */
  readonly standbySettings: Readonly<Record<string, string>>;
}

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** How it was noticed that a server runs on a data directory. */
export interface RunningServer {
  readonly evidence: 'postmaster.pid' | 'process' | 'socket' | 'shared memory';
  readonly pid?: number;
  readonly port?: number;
  readonly socketDirectory?: string;
}

/** Everything that is to be known of a directory before anything is done to it. */
export interface DirectoryFacts {
  readonly path: string;
  /** After symbolic links; the path itself where nothing is there. */
  readonly realPath: string;
  readonly kind: 'absent' | 'empty' | 'postgres' | 'other' | 'not a directory';
  readonly isSymbolicLink: boolean;
  readonly isMountPoint: boolean;
  /** Why it may never be a target whatever its content: `/`, a home directory, a system directory … */
  readonly forbidden?: string;
  /** device:inode, so that what was looked at can be recognised. */
  readonly identity?: string;
  readonly owner?: FileOwner;
  readonly mode?: number;
  readonly postgresMajor?: number;
  readonly control?: ControlData;
  readonly hasRecoverySignal: boolean;
  readonly hasStandbySignal: boolean;
  readonly hasPostgresqlConf: boolean;
  readonly running?: RunningServer;
  /** Symbolic links in pg_tblspc. */
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
  /** Of the nearest existing ancestor. */
  readonly freeBytes: bigint;
  readonly fileSystem: string;
  /** Whether files can be made in the parent directory. */
  readonly parentWritable: boolean;
  readonly parentOwner?: FileOwner;
}

export interface PostgresInstallation {
  readonly major: number;
  readonly version: string;
  readonly binDirectory: string;
}

/** Where the WAL of a server ends that does not run. */
export interface WalEnd {
  readonly timeline: TimelineId;
  /** Behind the last record that is there as a whole. */
  readonly lsn: Lsn;
}

export interface InstanceReader {
  inspectDirectory(path: string, context: OperationContext): Promise<DirectoryFacts>;
  /** Where that major version is installed; undefined where it is not. */
  findInstallation(major: number, context: OperationContext): Promise<PostgresInstallation | undefined>;
  /** The operating system user of that name, undefined where there is none. */
  findUser(name: string): Promise<FileOwner | undefined>;
  /** Whom a file or directory belongs to; undefined where there is none. */
  ownerOf(path: string): Promise<FileOwner | undefined>;
  /** The user that this program runs as. */
  currentUser(): FileOwner;
  /** The end of a file; empty where there is none. */
  readFileTail(path: string, maxBytes: number): Promise<string>;
  /** The end of what a server writes to its log: the file that its collector names, or that its stderr goes to. Empty where it is none that we may read. */
  readServerLog(server: { readonly dataDirectory: string; readonly pid?: number }, maxBytes: number): Promise<string>;
  /** By the records in pg_wal, read one after the other as recovery would; undefined where there are none. Of a running server it means nothing. */
  readWalEnd(dataDirectory: string): Promise<WalEnd | undefined>;
  /** Names in a directory; empty where there is none. */
  listFiles(directory: string): Promise<readonly string[]>;
  /** A TCP port on loopback that nothing listens on. */
  findFreePort(): Promise<number>;
  /** Space that is left to everybody on the file system of an existing file or directory; undefined where there is none. */
  freeSpaceOf(path: string): Promise<bigint | undefined>;
  /** Memory that could be had without swapping, within the limits of the control group that we are in. */
  availableMemoryBytes(): Promise<number>;
}

/** How a server is started by us, beside whatever service manager it normally has. */
export interface ServerStart {
  readonly dataDirectory: string;
  readonly binDirectory: string;
  readonly owner: FileOwner;
  readonly port: number;
  readonly socketDirectory: string;
  /** Absent: as the configuration files say. */
  readonly listenAddresses?: string;
  readonly logFile: string;
  /** Given on the command line: over every configuration file. */
  readonly settings: Readonly<Record<string, string>>;
  /** Files to use in place of those in the data directory. */
  readonly configFile?: string;
  readonly hbaFile?: string;
}

export interface InstanceControl {
  /** Starts the server and returns as soon as the postmaster lives; it may still be recovering. Throws POSTGRES_FAILED. */
  startServer(start: ServerStart, context: OperationContext): Promise<void>;
  /** pg_ctl stop. Idempotent: a server that does not run is stopped. */
  stopServer(
    server: {
      readonly dataDirectory: string;
      readonly binDirectory: string;
      readonly owner: FileOwner;
      readonly mode: 'fast' | 'immediate';
    },
    context: OperationContext,
  ): Promise<void>;
  /** Makes it with its parents, with that owner, 0700. Idempotent. */
  createDirectory(path: string, owner: FileOwner): Promise<void>;
  /** Temporary name, fsync, rename, fsync of the directory. */
  writeFileDurably(path: string, content: string, owner: FileOwner, mode: number): Promise<void>;
  /** Removes a file and makes that durable. Idempotent. */
  removeFileDurably(path: string): Promise<void>;
  /** rename(2) and fsync of both parents. Refuses where `from` is not `identity` or `to` exists (an empty directory is removed first). */
  renameDirectory(from: string, to: string, identity: string): Promise<void>;
  /** Removes a tree that this program made. Refuses where the directory is not `identity`, or a server runs in it. */
  removeDirectory(path: string, identity: string): Promise<void>;
  /** Copies files with fsync; the owner is kept as `owner`. Existing files with the same size are kept. */
  copyFiles(from: string, to: string, names: readonly string[], owner: FileOwner, context: OperationContext): Promise<void>;
}
