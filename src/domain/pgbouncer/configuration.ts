import { SpokeError } from '../../errors.ts';

/** A database that PgBouncer offers, and where it is. */
export interface BouncerDatabase {
  /** As clients ask for it. */
  readonly name: string;
  /** Several: PgBouncer (1.17 or later) connects to one after the other. All of them are reached by the same port. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** Its name on the servers. */
  readonly database: string;
}

export interface BouncerConfiguration {
  readonly databases: readonly BouncerDatabase[];
  readonly listenPort: number;
  readonly userListFile: string;
  /** Roles that may give commands on the admin console. */
  readonly adminUsers: readonly string[];
  /** Further settings of [pgbouncer], over those below. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * A pool in transaction mode for many clients and few connections. PgBouncer's documentation ("Configuration") says what each is for.
 * server_login_retry: how long a login that failed keeps others from trying, which after a change of the primary is time without service.
 */
const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addr: '*',
  auth_type: 'scram-sha-256',
  pool_mode: 'transaction',
  max_client_conn: '1000',
  default_pool_size: '25',
  min_pool_size: '5',
  reserve_pool_size: '5',
  reserve_pool_timeout: '3',
  max_db_connections: '50',
  max_user_connections: '50',
  server_lifetime: '3600',
  server_idle_timeout: '600',
  server_connect_timeout: '15',
  server_login_retry: '1',
  log_connections: '1',
  log_disconnections: '1',
  log_pooler_errors: '1',
};

const HEADER = [
  '; Written by spoke-backup setup pgbouncer: what is changed here by hand is gone with the next change of the cluster.',
  '; Settings of your own belong into the configuration of spoke-backup (pgbouncer: settings).',
];

/** Whether it is one of ours, and not somebody's own. */
export function isGeneratedConfiguration(text: string): boolean {
  return text.startsWith(`${HEADER[0]}\n`);
}

/** The whole pgbouncer.ini. Holds no secret. Throws CONFIG_INVALID where a name or value cannot be said in it. */
export function bouncerConfigurationText(configuration: BouncerConfiguration): string {
  const { databases, listenPort, userListFile, adminUsers, settings } = configuration;
  const all = {
    ...DEFAULTS,
    listen_port: String(listenPort),
    auth_file: userListFile,
    admin_users: adminUsers.map(listItem).join(', '),
    ...settings,
  };
  return [
    ...HEADER,
    '',
    '[databases]',
    ...databases.map(databaseLine),
    '',
    '[pgbouncer]',
    ...Object.entries(all).map(([name, value]) => `${settingName(name)} = ${plainValue(name, value)}`),
    '',
  ].join('\n');
}

function databaseLine({ name, hosts, port, database }: BouncerDatabase): string {
  if (hosts.length === 0) throw invalid(`database ${JSON.stringify(name)} has no server`);
  const parts = { host: hosts.join(','), port: String(port), dbname: database };
  const line = Object.entries(parts).map(([key, value]) => `${key}=${connectionValue(value)}`);
  return `${databaseKey(name)} = ${line.join(' ')}`;
}

/**
 * Its documentation would have other names in double quotes; its parser (cfparser.c of libusual) takes these characters and no quotes. `*`
 * would stand for every database.
 */
function databaseKey(name: string): string {
  if (name === 'pgbouncer') throw invalid('the name pgbouncer is that of the admin console');
  if (/^[0-9A-Za-z_.-]+$/.test(name)) return name;
  throw invalid(`${JSON.stringify(name)} cannot be what clients ask for: give it a plain name, and the other one as its database`);
}

/** As in a connection string of PgBouncer: in single quotes, a quote doubled; a backslash is itself. */
function connectionValue(value: string): string {
  return /^[0-9A-Za-z_.,:-]+$/.test(value) ? value : `'${oneLine(value).replaceAll("'", "''")}'`;
}

function settingName(name: string): string {
  if (/^[a-z][a-z0-9_]*$/.test(name)) return name;
  throw invalid(`${JSON.stringify(name)} is not the name of a setting`);
}

/** A value goes to the end of its line, blanks around it apart: there is nothing to quote it with. */
function plainValue(name: string, value: string): string {
  if (oneLine(value).trim() === value) return value;
  throw invalid(`the value of ${name} begins or ends with a blank`);
}

/** Between commas and blanks, which no item can hold. */
function listItem(name: string): string {
  if (/^[^\s,"']+$/.test(name)) return name;
  throw invalid(`PgBouncer cannot have ${JSON.stringify(name)} as an administrator: a name in a list has no blank, comma or quote`);
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  if (!/[\u0000-\u001f\u007f]/.test(text)) return text;
  throw invalid(`${JSON.stringify(text)} has a control character in it`);
}

function invalid(why: string): SpokeError {
  return new SpokeError('CONFIG_INVALID', `pgbouncer.ini cannot be written: ${why}.`);
}
