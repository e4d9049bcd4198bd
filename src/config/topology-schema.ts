import * as z from 'zod/mini';
import { key } from './described.ts';
import * as patterns from './patterns.ts';
import { absolutePath, argv, name, port, secret, text, url, wholeNumber } from './schema-values.ts';

const host = text(patterns.HOST_PATTERN, 'must be a host name or an IPv4 address');
const ROLE_RULE = 'must be the name of a role: one line, at most 63 characters';
const roleName = text(/^[^\u0000-\u001f\u007f]{1,63}$/, ROLE_RULE);
const DATABASE_RULE = 'must be the name of a database: one line, at most 63 characters';
const databaseName = text(/^[^\u0000-\u001f\u007f]{1,63}$/, DATABASE_RULE);
const seconds = (most: number) => wholeNumber(1, most);

const nodeAddress = z.strictObject({
  host: key('Host name or address.', host),
  port: z._default(key('Port.', port), 5432),
});

/** OpenSSH, never asked anything and never told to trust an unknown host. */
const ssh = z.strictObject({
  host: key('Host name or address.', host),
  port: z._default(key('Port of sshd.', port), 22),
  user: z.optional(
    key('The user there; it must be able to become the owner of the data directory.', text(patterns.OS_USER_PATTERN, 'must be a user')),
  ),
  identityFile: z.optional(key('The private key; those of ssh where it is not given.', absolutePath)),
  knownHostsFile: z.optional(key('The keys of known hosts; those of ssh where it is not given.', absolutePath)),
  command: z._default(key('How spoke-backup is called there.', argv), ['spoke-backup']),
});

const VERSION_RULE = 'must be a version, such as 15';
const serviceVersion = z.pipe(
  z.union([z.string(), z.number()], { error: VERSION_RULE }),
  z.pipe(z.transform(String), text(/^\d{1,2}(\.\d{1,2})?$/, VERSION_RULE)),
);
const UNIT_RULE = 'must be the name of a systemd unit, such as postgresql@15-main.service';

const service = z.discriminatedUnion(
  'manager',
  [
    z.strictObject({ manager: key('The server is started by hand, or by us.', z.literal('pg_ctl')) }),
    z.strictObject({
      manager: key("Debian's wrapper of pg_ctl.", z.literal('pg_ctlcluster')),
      version: key('Major version of PostgreSQL, as pg_lsclusters prints it.', serviceVersion),
      clusterName: key('The name of the cluster as pg_lsclusters prints it.', name),
    }),
    z.strictObject({
      manager: key('A unit of systemd.', z.literal('systemd')),
      unit: key('The unit that runs the server.', text(patterns.UNIT_PATTERN, UNIT_RULE)),
    }),
    z.strictObject({ manager: key('Patroni, which is asked.', z.literal('patroni')) }),
  ],
  { error: 'must be one of pg_ctl, pg_ctlcluster, systemd, patroni' },
);

/** One server of the cluster. */
export const node = z.strictObject({
  name: key('Name of the server within the cluster.', name),
  url: z.optional(key('postgresql:// URL of the server; a password in it must be a reference.', url)),
  passwordFile: z.optional(key('File with the password for url; readable by its owner only.', absolutePath)),
  passwordCommand: z.optional(key('Program and arguments that print the password for url.', argv)),
  address: z.optional(key('Where others reach the server, where that is not the host and port of url.', nodeAddress)),
  ssh: z.optional(key('How its host is reached, where that is not this one.', ssh)),
  dataDirectory: z.optional(key('The data directory of the server.', absolutePath)),
  socketDirectory: z.optional(key('Where the unix socket of the server is.', absolutePath)),
  port: z.optional(key('Port of the server, also of its unix socket.', port)),
  service: z.optional(
    key('What starts and stops the server in normal operation; Patroni where it manages the cluster, else pg_ctl.', service),
  ),
});

/** A role of PostgreSQL and its password. */
export function role(defaultName: string) {
  return z.strictObject({
    role: z._default(key('Its name.', roleName), defaultName),
    password: z.optional(key('Its password, by reference.', secret)),
  });
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** How standbys reach their primary. */
export const replication = z.strictObject({
  role: z._default(key('The role that may replicate.', roleName), 'replicator'),
  password: z.optional(key('Its password, by reference.', secret)),
  sslMode: z._default(key('sslmode of libpq.', z.enum(SSL_MODES)), 'prefer'),
  allowedFrom: z._default(
    key(
      'Addresses (CIDR) that standbys connect from, for pg_hba.conf; each node by itself where it is not given.',
      z.array(text(/^[0-9A-Fa-f:.]+\/\d{1,3}$/, 'must be an address with its mask, such as 10.0.0.0/24')).check(z.maxLength(64)),
    ),
    [],
  ),
});

const settingName = text(
  /^(?!auth_file$|admin_users$|listen_port$)[a-z][a-z0-9_]{0,62}$/,
  'must be the name of a setting that is not generated',
);
const settingValue = z.pipe(
  z.union([z.string(), z.number()], { error: 'must be a text or a number' }),
  z.pipe(z.transform(String), text(/^[^\u0000-\u001f\u007f]{0,1000}$/, 'must be one line')),
);

const bouncerDatabase = z.strictObject({
  to: key('primary, standbys, or the name of a node.', name),
  database: z.optional(key('The database there; of the same name where it is not given.', databaseName)),
});

/** A PgBouncer in front of the cluster. */
export const pgbouncer = z.strictObject({
  name: key('Its name.', name),
  adminUrl: key('postgresql:// URL of its admin console (database pgbouncer); a password in it must be a reference.', url),
  password: z.optional(key('The password for adminUrl, by reference.', secret)),
  configFile: key('Its pgbouncer.ini, which setup pgbouncer writes.', absolutePath),
  userListFile: key('Its auth_file, which setup pgbouncer writes.', absolutePath),
  databases: key('The databases that it offers, by name, and where they are.', z.record(databaseName, bouncerDatabase)),
  users: z._default(
    key('The roles that may come in; all that can log in where it is not given.', z.array(roleName).check(z.maxLength(1000))),
    [],
  ),
  settings: z._default(
    key('Further settings of the section [pgbouncer], over those that are generated.', z.record(settingName, settingValue)),
    {},
  ),
  ssh: z.optional(key('How its host is reached, where that is not this one.', ssh)),
  pauseTimeoutSeconds: z._default(key('How long a planned change waits for transactions to end.', seconds(3600)), 10),
});

/** Where applications find the servers. */
export const endpoints = z.strictObject({
  file: key('The file with SPOKE_POSTGRES_URL and SPOKE_POSTGRES_REPLICA_URLS.', absolutePath),
  database: z._default(key('The database in the URLs.', databaseName), 'postgres'),
  user: z.optional(key('The role in the URLs; none where it is not given.', roleName)),
  hook: z.optional(key('Program and arguments, run after each change with the new values in its environment.', argv)),
});

/** How a standby is brought back. */
export const reseed = z.strictObject({
  maxLagMib: z._default(key('A standby counts as back once less WAL than this is left to replay.', wholeNumber(1, 1_048_576)), 16),
  streamTimeoutSeconds: z._default(key('How long it may take until it streams.', seconds(604_800)), 3600),
});

/** How another server becomes the primary. */
export const failover = z.strictObject({
  fenceCommand: z.optional(
    key('Program and arguments that make sure that a server cannot write: {node} is its name, {host} its host.', argv),
  ),
  maxLagMib: z._default(key('A switchover is refused while more WAL than this is left to replay.', wholeNumber(0, 1_048_576)), 16),
  timeoutSeconds: z._default(key('How long each step of it may take.', seconds(86_400)), 60),
});

/** Where Patroni is asked. */
export const patroni = z.strictObject({
  urls: key(
    'Its REST API, of any of its members.',
    z.array(text(/^https?:\/\/[^\s@]+$/, 'must be a URL such as http://10.0.0.1:8008')).check(z.minLength(1), z.maxLength(64)),
  ),
  scope: z.optional(key('Its name for the cluster; that of the cluster where it is not given.', name)),
  user: z.optional(key('The user for requests that change something.', roleName)),
  password: z.optional(key('Its password, by reference.', secret)),
  caFile: z.optional(key('Certificates of the authority that signed those of its API (PEM).', absolutePath)),
});
