// The mini variant: schemas without methods load and build in a tenth of the time, and every command pays for it.
import * as z from 'zod/mini';
import { key } from './described.ts';
import { refusalOfExtraOption } from './generated-options.ts';
import * as patterns from './patterns.ts';
import { daemon, history } from './daemon-schema.ts';
import { durationOf } from './schedule-schema.ts';
import { serverSideEncryption } from './server-side-encryption-schema.ts';
import { absolutePath, name, port, program, secret, text, wholeNumber } from './schema-values.ts';
import { endpoints, failover, node, patroni, pgbouncer, replication, reseed, role } from './topology-schema.ts';

const days = wholeNumber(1, 36_500);
const seconds = wholeNumber(1, 31_536_000);

const engine = z.enum(['pgbackrest', 'native'], { error: 'must be one of pgbackrest, native' });

const repositoryBase = {
  name: key('Name of the repository, for --repo.', name),
  engine: z.optional(key('What keeps its backups here; that of the cluster where it is not given.', engine)),
  encryptionPassphrase: z.optional(key('pgBackRest: with it everything in the repository is encrypted (aes-256-cbc).', secret)),
};

function retention(defaultDays: number) {
  const schema = z.strictObject({
    days: z._default(key('Any instant of the last so many days can be restored.', days), defaultDays),
    requireVerified: z._default(key('Whether only verified full backups let older ones expire.', z.boolean()), false),
    maxSharePercent: z._default(key('The most of the backups that one run expires without --confirm.', wholeNumber(1, 100)), 50),
  });
  return z.prefault(key('How long backups and WAL are kept.', schema), {});
}

const localRepository = z.strictObject({
  ...repositoryBase,
  kind: key('A directory on this machine.', z.literal('local')),
  path: key('The directory of the repository.', absolutePath),
  retention: retention(7),
});

const ENDPOINT_RULE = 'must be a host name or an IPv4 address, without https:// and without a port (see port)';
const caFile = key('Certificates of the authority that signed that of the service (PEM).', absolutePath);
const keyType = z.enum(['shared', 'auto', 'web-id']);

const s3Repository = z.strictObject({
  ...repositoryBase,
  kind: key('A bucket of an S3 service.', z.literal('s3')),
  bucket: key('The bucket.', text(patterns.BUCKET_PATTERN, 'must be the name of a bucket')),
  endpoint: key('Host of the service, without scheme and port.', text(patterns.HOST_PATTERN, ENDPOINT_RULE)),
  port: z.optional(key('Port of the service; 443 where it is not given.', port)),
  region: key('Region of the bucket.', text(patterns.REGION_PATTERN, 'must be the name of a region')),
  pathPrefix: z.optional(key('Path within the bucket; /<cluster> where it is not given.', absolutePath)),
  uriStyle: z._default(key('path for services that do not answer on bucket.endpoint.', z.enum(['host', 'path'])), 'host'),
  caFile: z.optional(caFile),
  verifyTls: z._default(key('Whether the certificate of the service is verified.', z.boolean()), true),
  keyType: z._default(key('shared: the keys below; auto: role of the machine; web-id: web identity.', keyType), 'shared'),
  accessKey: z.optional(key('The access key, by reference. Required with keyType shared.', secret)),
  secretKey: z.optional(key('The secret key, by reference. Required with keyType shared.', secret)),
  sessionToken: z.optional(key('The token of temporary credentials, by reference.', secret)),
  serverSideEncryption: z.optional(key('How the service encrypts each object; as the bucket says where not given.', serverSideEncryption)),
  checksums: z._default(key('when_required for services that refuse additional checksums.', z.enum(['auto', 'when_required'])), 'auto'),
  uploadPartMib: z.optional(
    key('Native engine: fixed length of the parts of uploads, in MiB; growing where it is not given.', wholeNumber(5, 5120)),
  ),
  retention: retention(30),
});

const repository = z.discriminatedUnion('kind', [localRepository, s3Repository], {
  error: 'must be one of local, s3',
});

const optionName = text(patterns.OPTION_NAME_PATTERN, 'must be the name of a pgBackRest option').check(
  z.superRefine((option, context) => {
    const reason = refusalOfExtraOption(option);
    if (reason !== undefined) context.addIssue({ code: 'custom', message: `may not be set: ${reason}` });
  }),
);
const optionValue = z.pipe(
  z.union([z.string(), z.int(), z.boolean()], { error: patterns.INI_VALUE_RULE }),
  z.pipe(
    z.transform((value: string | number | boolean) => (typeof value === 'boolean' ? (value ? 'y' : 'n') : String(value))),
    text(patterns.INI_VALUE_PATTERN, patterns.INI_VALUE_RULE),
  ),
);

const pgbackrest = z.strictObject({
  command: z._default(key('Path of pgbackrest, or its name in PATH.', program), 'pgbackrest'),
  processMax: z._default(key('Processes that compress and copy at the same time.', wholeNumber(1, 999)), 2),
  compressType: z._default(key('How files in the repositories are compressed.', z.enum(['lz4', 'zst', 'gz', 'bz2', 'none'])), 'zst'),
  compressLevel: z.optional(key('Level of the compression; its own default where it is not given.', wholeNumber(-7, 22))),
  lockPath: z.optional(key('Directory of the lock files.', absolutePath)),
  spoolPath: z.optional(key('Directory of the WAL spool; on a local disk, not inside pg_wal.', absolutePath)),
  extraOptions: z.prefault(
    key('Further options for the section [global] of the generated pgbackrest.conf.', z.record(optionName, optionValue)),
    {},
  ),
});

const native = z.strictObject({
  compressType: z._default(key('How files in the repositories are compressed.', z.enum(['zst', 'lz4'])), 'zst'),
  compressLevel: z._default(key('Level of the compression.', wholeNumber(1, 19)), 1),
  maxRateKib: z.optional(key('The most that a backup reads, in KiB a second; no limit where it is not given.', wholeNumber(32, 1_048_576))),
  backupFrom: z._default(
    key('standby: from one that streams and has caught up, else from the primary.', z.enum(['primary', 'standby'])),
    'primary',
  ),
  withoutIncremental: z._default(
    key('What an incremental that is due becomes where PostgreSQL is older than 17.', z.enum(['full', 'nothing'])),
    'full',
  ),
});

const recipient = text(/^age1[0-9a-z]{20,120}$/, 'must be a public key of age, which begins with age1');
const encryption = z.strictObject({
  recipients: key(
    'Public keys of age: whoever has one of the private keys can read.',
    z.array(recipient).check(z.minLength(1), z.maxLength(20)),
  ),
  identityFile: z.optional(key('File with a private key of age; only where backups are read.', absolutePath)),
});

const wal = z.strictObject({
  streaming: z._default(key('Whether the daemon also receives WAL as it is written.', z.boolean()), false),
  slot: z.optional(
    key('Its replication slot; spoke_<cluster> where it is not given.', text(/^[a-z0-9_]{1,63}$/, 'must be the name of a slot')),
  ),
  keepMib: z._default(
    key('The most WAL that its slot keeps on the server, and that waits here for the archive, in MiB.', wholeNumber(64, 67_108_864)),
    8192,
  ),
  tailSeconds: z._default(key('How often the newest, unfinished segment is copied to the repositories.', wholeNumber(1, 3600)), 5),
});

const scheduleName = text(
  new RegExp(`${patterns.NAME_PATTERN.source}|${patterns.PATH_PATTERN.source}`),
  'must be the name of a schedule, or the absolute path of a schedule file',
);

const archiving = z.strictObject({
  archiveTimeoutSeconds: z._default(key('archive_timeout of PostgreSQL, in seconds.', wholeNumber(1, 86_400)), 60),
  ack: z.optional(
    key(
      'Native engine: which repositories must hold WAL before it counts as archived; local where there is a local one.',
      z.enum(['local', 'all']),
    ),
  ),
  ackTimeoutSeconds: z._default(key('Native engine, ack all: how long archive_command waits for the others.', wholeNumber(1, 3600)), 60),
});

const restore = z.strictObject({
  keepOldDays: z._default(key('Days for which a data directory that a restore replaced is kept.', days), 7),
});

const YEAR = 31_536_000;
const objective = durationOf(1, YEAR, 'must be a duration of at most a year, such as 60s or 30m');
const objectives = z.pipe(
  z.strictObject({
    rpo: z.optional(key('The most that may be lost, for example 60s.', objective)),
    rto: z.optional(key('The longest that a restore may take, for example 30m.', objective)),
    rpoSeconds: z.optional(key('rpo in seconds.', seconds)),
    rtoSeconds: z.optional(key('rto in seconds.', seconds)),
  }),
  z.transform(({ rpo, rto, rpoSeconds, rtoSeconds }) => ({ rpoSeconds: rpo ?? rpoSeconds, rtoSeconds: rto ?? rtoSeconds })),
);

const multiHost = z.strictObject({
  repository: key('The repository, of kind s3, whose bucket holds the leases of the hosts.', name),
  leaseSeconds: z._default(key('How long a host may be silent before another takes over.', wholeNumber(5, 300)), 30),
});

const osUser = text(patterns.OS_USER_PATTERN, 'must be the name of a user of the operating system');
const stanza = text(patterns.STANZA_PATTERN, patterns.STANZA_RULE);

const cluster = z.strictObject({
  engine: z._default(key('What takes and restores the backups.', engine), 'pgbackrest'),
  stanza: z.optional(key('Name of the cluster in its repositories; that of the cluster where it is not given.', stanza)),
  osUser: z.optional(key('The user that owns the data directories; their owner where it is not given.', osUser)),
  postgresqlBinDirectory: z.optional(key('Directory of pg_ctl and postgres; looked for where it is not given.', absolutePath)),
  pgbackrest: z.prefault(key('How pgBackRest is run.', pgbackrest), {}),
  native: z.prefault(key("How the native engine works: PostgreSQL's own tools and plain files.", native), {}),
  encryption: z.optional(key('Encrypts what we write ourselves: native backups and WAL, and streamed WAL.', encryption)),
  wal: z.prefault(key('WAL that is streamed beside the archive.', wal), {}),
  nodes: z._default(key('The servers of the cluster.', z.array(node).check(z.maxLength(64))), []),
  replication: z.prefault(key('How standbys reach their primary.', replication), {}),
  backupRole: z.optional(key('The role that backups are taken by, with no more rights than they need.', role('spoke_backup'))),
  pgbouncer: z._default(key('The PgBouncers in front of the cluster.', z.array(pgbouncer).check(z.maxLength(32))), []),
  endpoints: z.optional(key('A file that tells applications where the primary and the standbys are.', endpoints)),
  reseed: z.prefault(key('How a standby is brought back.', reseed), {}),
  failover: z.prefault(key('How another server becomes the primary.', failover), {}),
  patroni: z.optional(key('For clusters that Patroni manages: it is asked, never passed over.', patroni)),
  repositories: z._default(key('Where backups and WAL are kept.', z.array(repository).check(z.maxLength(256))), []),
  archiving: z.prefault(key('How WAL is archived.', archiving), {}),
  restore: z.prefault(key('What restores leave behind.', restore), {}),
  objectives: z.optional(key('What is promised; compared with what is measured.', objectives)),
  multiHost: z.optional(key("For several hosts with this configuration: how they keep out of each other's way.", multiHost)),
  schedules: z._default(key('Names of schedules, or absolute paths of schedule files.', z.array(scheduleName).check(z.maxLength(64))), []),
});

const topics = z.optional(
  key('What it is told about; everything where it is not given.', z.array(z.enum(['run', 'missed-run', 'rpo', 'drill', 'health']))),
);
const channelBase = {
  name: key('Name of the channel.', name),
  clusters: z.optional(key('Names of the clusters that it is told about; all where it is not given.', z.array(name))),
};
const ADDRESS_RULE = 'must be an address such as dba@example.org';
const address = text(/^[^\s@<>,;"\\]+@[A-Za-z0-9.-]+$/, ADDRESS_RULE);

const channel = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      ...channelBase,
      kind: key('JSON to an address of your own.', z.literal('webhook')),
      topics,
      url: key('The address, by reference.', secret),
      signingSecret: z.optional(key('Signs what is sent (HMAC-SHA256), by reference.', secret)),
    }),
    z.strictObject({
      ...channelBase,
      kind: key('An incoming webhook of Slack, Mattermost or Rocket.Chat.', z.literal('slack')),
      topics,
      url: key('The address of the webhook, by reference: whoever knows it can post.', secret),
    }),
    z.strictObject({
      ...channelBase,
      kind: key('E-mail by SMTP.', z.literal('email')),
      topics,
      host: key('The mail server.', text(patterns.HOST_PATTERN, 'must be a host name or an IPv4 address')),
      port: z._default(key('Its port.', port), 587),
      security: z._default(
        key('starttls and tls are refused by a server that does not offer them.', z.enum(['starttls', 'tls', 'none'])),
        'starttls',
      ),
      caFile: z.optional(key('Certificates of the authority that signed that of the server (PEM).', absolutePath)),
      user: z.optional(key('The user at the mail server.', text(/^[^\u0000-\u001f\u007f]{1,256}$/, 'must be one line'))),
      password: z.optional(key('The password of user, by reference.', secret)),
      from: key('The sender.', address),
      to: key('Who is told.', z.array(address).check(z.minLength(1), z.maxLength(32))),
    }),
    z.strictObject({
      ...channelBase,
      kind: key("A dead man's switch that is pinged as healthchecks.io is.", z.literal('healthchecks')),
      url: key('The ping URL, by reference.', secret),
      schedules: z.optional(key('Names of the schedules whose runs ping it; all where it is not given.', z.array(name))),
    }),
  ],
  { error: 'must be one of webhook, slack, email, healthchecks' },
);

const notices = z.strictObject({
  remindAfterHours: z._default(key('What still fails is said again after so long.', wholeNumber(1, 8_760)), 24),
  mostPerHour: z._default(key('More notices than these are held back and counted.', wholeNumber(2, 1_000)), 20),
  channels: z._default(key('Where notices go.', z.array(channel).check(z.maxLength(32))), []),
});

const timezone = z.string().check(z.refine(patterns.isTimezone, { error: patterns.TIMEZONE_RULE }));
const clusters = z.record(name, cluster).check(z.refine((all) => Object.keys(all).length > 0, { error: 'must name at least one cluster' }));

/** The whole file. */
export const configurationSchema = z.strictObject({
  stateDirectory: z._default(key('Directory of the journals, locks and generated files.', absolutePath), '/var/lib/spoke-backup'),
  timezone: z.optional(key('Zone of instants that are typed without one; without it they are refused.', timezone)),
  history: z.prefault(key('How much of the history of runs is kept.', history), {}),
  notices: z.prefault(key('Who is told of failures, recoveries and drills.', notices), {}),
  daemon: z.prefault(key('How the daemon goes about its work.', daemon), {}),
  clusters: key('The clusters, by name.', clusters),
});

/** What the file says once it has been checked and its defaults filled in. */
type ConfigurationValues = z.output<typeof configurationSchema>;
export type ClusterValues = ConfigurationValues['clusters'][string];
export type NodeValues = ClusterValues['nodes'][number];
export type PgBouncerValues = ClusterValues['pgbouncer'][number];
export type NoticesValues = ConfigurationValues['notices'];
export type RepositoryValues = ClusterValues['repositories'][number];
