import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { NoticeTopic } from '../domain/notices/notice.ts';
import type { SecretReference, SecretText } from './secrets.ts';

/** What the configuration file says, with every default filled in. Holds references to secrets, never a secret. */
export interface Configuration {
  /** The file that it was read from, absolute. */
  readonly path: string;
  /** Journals, locks and generated files. */
  readonly stateDirectory: string;
  readonly daemon: DaemonConfig;
  /** IANA name of the zone of instants typed without one; without it such an instant is refused. */
  readonly timezone?: string;
  readonly history: HistoryConfig;
  readonly notices: NoticesConfig;
  /** In the order of the file. */
  readonly clusters: ReadonlyMap<string, ClusterConfig>;
}

/** Runs that ended are forgotten when there are more, or when they are older. */
export interface HistoryConfig {
  /** Of each verb and cluster. */
  readonly keepRuns: number;
  readonly keepDays: number;
}

/** Who is told of failures, recoveries and drills, and how often. */
export interface NoticesConfig {
  /** What still fails is said again after so long. */
  readonly remindAfterHours: number;
  /** More notices than these are held back and counted. */
  readonly mostPerHour: number;
  readonly channels: readonly ChannelConfig[];
}

export type ChannelConfig = WebhookChannelConfig | SlackChannelConfig | EmailChannelConfig | HealthchecksChannelConfig;

interface ChannelBase {
  readonly name: string;
  /** Absent: all. */
  readonly clusters?: readonly string[];
}

interface NoticeChannelBase extends ChannelBase {
  /** Absent: all. */
  readonly topics?: readonly NoticeTopic[];
}

interface WebhookChannelConfig extends NoticeChannelBase {
  readonly kind: 'webhook';
  readonly url: SecretReference;
  readonly signingSecret?: SecretReference;
}

interface SlackChannelConfig extends NoticeChannelBase {
  readonly kind: 'slack';
  readonly url: SecretReference;
}

export interface EmailChannelConfig extends NoticeChannelBase {
  readonly kind: 'email';
  readonly host: string;
  readonly port: number;
  readonly security: 'starttls' | 'tls' | 'none';
  readonly caFile?: string;
  readonly user?: string;
  readonly password?: SecretReference;
  readonly from: string;
  readonly to: readonly string[];
}

/** A dead man's switch: it is pinged, and raises the alarm where no ping comes. */
interface HealthchecksChannelConfig extends ChannelBase {
  readonly kind: 'healthchecks';
  readonly url: SecretReference;
  /** Absent: all. */
  readonly schedules?: readonly string[];
}

/** How the daemon goes about its work. */
export interface DaemonConfig {
  /** Runs that may be under way at the same time, of all clusters. */
  readonly maximumRuns: number;
  /** The same of clusters whose servers are on one host. */
  readonly maximumRunsPerHost: number;
  /** How long runs may go on once the daemon is asked to end. */
  readonly gracePeriodSeconds: number;
}

/** One PostgreSQL cluster: a primary and its standbys, and where their backups go. */
export interface ClusterConfig {
  readonly name: string;
  /** What keeps backups in the repositories that name no other. */
  readonly engine: EngineName;
  /** The name of the cluster in its repositories. */
  readonly stanza: string;
  /** The operating system user that owns the data directories; absent: whoever owns the data directory. */
  readonly osUser?: string;
  /** Where initdb, pg_ctl and postgres are; absent: found by the major version. */
  readonly postgresqlBinDirectory?: string;
  readonly pgbackrest: PgbackrestConfig;
  readonly native: NativeConfig;
  /** Absent: what we write ourselves is not encrypted. */
  readonly encryption?: EncryptionConfig;
  readonly wal: WalConfig;
  readonly nodes: readonly NodeConfig[];
  readonly replication: ReplicationConfig;
  /** Absent: backups are taken by the role in the URLs of the nodes. */
  readonly backupRole?: RoleConfig;
  readonly pgbouncer: readonly PgBouncerConfig[];
  /** Absent: nobody is told in a file. */
  readonly endpoints?: EndpointsConfig;
  readonly reseed: ReseedConfig;
  readonly failover: FailoverConfig;
  /** Absent: Patroni does not manage the cluster. */
  readonly patroni?: PatroniConfig;
  /** In the order of the file, which is that of pgBackRest's keys. */
  readonly repositories: readonly RepositoryConfig[];
  readonly archiving: ArchivingConfig;
  readonly restore: RestoreConfig;
  readonly objectives?: ObjectivesConfig;
  /** Absent: this host alone works on the cluster. */
  readonly multiHost?: MultiHostConfig;
  /** Names of schedules, or absolute paths of schedule files. */
  readonly schedules: readonly string[];
}

export type EngineName = 'pgbackrest' | 'native';

export interface NativeConfig {
  readonly compressType: 'zst' | 'lz4';
  readonly compressLevel: number;
  /** The most that a backup reads, in KiB a second. */
  readonly maxRateKib?: number;
  readonly backupFrom: 'primary' | 'standby';
  /** What an incremental that is due becomes where PostgreSQL is older than 17. */
  readonly withoutIncremental: 'full' | 'nothing';
}

/** age: who may read is not who writes. */
export interface EncryptionConfig {
  readonly recipients: readonly string[];
  /** A file with a private key; only where backups are read. */
  readonly identityFile?: string;
}

/** WAL that the daemon receives as it is written, beside the archive. */
export interface WalConfig {
  readonly streaming: boolean;
  /** The replication slot. */
  readonly slot: string;
  /** How often the newest, unfinished segment is copied to the repositories. */
  readonly tailSeconds: number;
  /** What the slot keeps at most where the server does not bound it itself, and what waits here for the archive. */
  readonly keepMib: number;
}

export type CompressType = 'lz4' | 'zst' | 'gz' | 'bz2' | 'none';

export interface PgbackrestConfig {
  /** A path, or a name looked up in PATH. */
  readonly command: string;
  readonly processMax: number;
  readonly compressType: CompressType;
  readonly compressLevel?: number;
  readonly lockPath?: string;
  readonly spoolPath?: string;
  /** Written as they are into the section [global]; holds no option that we generate ourselves. */
  readonly extraOptions: Readonly<Record<string, string>>;
}

/** One server of the cluster. */
export interface NodeConfig {
  readonly name: string;
  /** A postgresql:// URL; its password, where it has one, is a reference. */
  readonly url?: SecretText;
  /** The password that belongs to `url` (passwordFile or passwordCommand). */
  readonly password?: SecretReference;
  /** Where others reach the server; absent: host and port of `url`. */
  readonly address?: NodeAddress;
  /** Absent: on this machine. */
  readonly ssh?: SshConfig;
  readonly dataDirectory?: string;
  readonly socketDirectory?: string;
  readonly port?: number;
  readonly service: ServiceConfig;
}

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** How another host is reached by OpenSSH, in batch mode and with host keys that are known. */
export interface SshConfig {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly identityFile?: string;
  readonly knownHostsFile?: string;
  /** How spoke-backup is called there. */
  readonly command: readonly string[];
}

export interface RoleConfig {
  readonly role: string;
  readonly password?: SecretReference;
}

/** How standbys reach their primary. */
export interface ReplicationConfig extends RoleConfig {
  readonly sslMode: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** CIDR; empty: each node's own address. */
  readonly allowedFrom: readonly string[];
}

export interface PgBouncerConfig {
  readonly name: string;
  /** Of the admin console. */
  readonly adminUrl: SecretText;
  readonly password?: SecretReference;
  readonly configFile: string;
  readonly userListFile: string;
  /** By the name under which clients ask for them. `to`: `primary`, `standbys` or a node. */
  readonly databases: Readonly<Record<string, { readonly to: string; readonly database?: string }>>;
  /** Empty: every role that can log in. */
  readonly users: readonly string[];
  /** Of [pgbouncer], over those that are generated. */
  readonly settings: Readonly<Record<string, string>>;
  /** Absent: on this machine. */
  readonly ssh?: SshConfig;
  readonly pauseTimeoutSeconds: number;
}

export interface EndpointsConfig {
  readonly file: string;
  readonly database: string;
  readonly user?: string;
  readonly hook?: readonly string[];
}

export interface ReseedConfig {
  readonly maxLagMib: number;
  readonly streamTimeoutSeconds: number;
}

export interface FailoverConfig {
  /** `{node}` and `{host}` stand for whom it is about. */
  readonly fenceCommand?: readonly string[];
  readonly maxLagMib: number;
  readonly timeoutSeconds: number;
}

export interface PatroniConfig {
  readonly urls: readonly string[];
  /** Patroni's name for the cluster. */
  readonly scope: string;
  readonly user?: string;
  readonly password?: SecretReference;
  readonly caFile?: string;
}

/** What starts and stops the server in normal operation. */
export type ServiceConfig =
  | { readonly manager: 'pg_ctl' }
  | { readonly manager: 'pg_ctlcluster'; readonly version: string; readonly clusterName: string }
  | { readonly manager: 'systemd'; readonly unit: string }
  | { readonly manager: 'patroni'; readonly member: string };

export type RepositoryConfig = LocalRepositoryConfig | S3RepositoryConfig;

export interface RetentionConfig {
  /** Backups and WAL are kept so that any instant of the last so many days can be reached. */
  readonly days: number;
  /** Whether a full backup lets older ones go only once a verification or a drill has found it sound. */
  readonly requireVerified: boolean;
  /** The most of the repository's backups that one run expires without --confirm. */
  readonly maxSharePercent: number;
}

interface RepositoryBase {
  readonly name: RepositoryName;
  readonly engine: EngineName;
  /** Its place in the file: 1 for the first. */
  readonly index: number;
  readonly retention: RetentionConfig;
  /** With it the repository is encrypted (aes-256-cbc). */
  readonly encryptionPassphrase?: SecretReference;
}

export interface LocalRepositoryConfig extends RepositoryBase {
  readonly kind: 'local';
  readonly path: string;
}

export interface S3RepositoryConfig extends RepositoryBase {
  readonly kind: 's3';
  readonly bucket: string;
  /** Host name or address, without scheme and port. */
  readonly endpoint: string;
  readonly port?: number;
  readonly region: string;
  /** Begins with `/`. */
  readonly pathPrefix: string;
  readonly uriStyle: 'path' | 'host';
  readonly caFile?: string;
  readonly verifyTls: boolean;
  /** `shared`: accessKey and secretKey are there; else the credentials come from the machine's role. */
  readonly keyType: 'shared' | 'auto' | 'web-id';
  readonly accessKey?: SecretReference;
  readonly secretKey?: SecretReference;
  readonly sessionToken?: SecretReference;
  /** What the service is asked for with every object; absent: nothing, so that the bucket's default counts. */
  readonly serverSideEncryption?: { readonly type: 'AES256' } | { readonly type: 'aws:kms'; readonly kmsKeyId: string };
  /** Whether the S3 client adds checksums to every request, which some services do not understand. */
  readonly checksums: 'auto' | 'when_required';
  /** Native engine: the length of all parts of an upload but the last, for services that want them alike. */
  readonly uploadPartMib?: number;
}

export interface ArchivingConfig {
  /** PostgreSQL's archive_timeout: the most that is lost when the server is idle and then gone. */
  readonly archiveTimeoutSeconds: number;
  /** Native engine: which repositories must hold WAL before it counts as archived. */
  readonly ack: 'local' | 'all';
  /** Native engine, ack all: how long archive_command waits for those that are not on this machine. */
  readonly ackTimeoutSeconds: number;
}

export interface RestoreConfig {
  /** For how many days a data directory that a restore replaced is kept at least. */
  readonly keepOldDays: number;
}

/** Several hosts work on the cluster, one at a time where it matters. */
export interface MultiHostConfig {
  /** The repository, of kind s3, that holds their leases. */
  readonly repository: RepositoryName;
  /** After this time without renewal another host takes over. */
  readonly leaseSeconds: number;
}

/** What the operator promises; compared with what is measured. */
export interface ObjectivesConfig {
  readonly rpoSeconds?: number;
  readonly rtoSeconds?: number;
}
