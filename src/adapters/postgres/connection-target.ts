import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { SpokeError } from '../../errors.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';

/** libpq's sslmode. */
type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Where to connect, taken apart. Never printed whole: it holds the password. */
export interface ConnectionTarget {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password?: string;
  readonly tlsMode: TlsMode;
  readonly rootCertificateFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

const DEFAULT_PORT = 5432;

/** Takes an address apart as libpq does. Throws CONFIG_INVALID; the message never holds the URL. */
export function connectionTargetOf(address: ServerAddress): ConnectionTarget {
  if (address.kind === 'socket') {
    const { socketDirectory: host, port, user } = address;
    return { host, port, user, database: 'postgres', tlsMode: 'disable' };
  }
  const url = parseUrl(address.url);
  const parameter = (name: string) => url.searchParams.get(name) ?? undefined;
  const host = (decode(url.hostname, 'host') || parameter('host') || 'localhost').replace(/^\[(.*)\]$/, '$1');
  if (host.includes(',')) throw invalid('names several hosts; name one');
  const user = decode(url.username, 'user') || parameter('user') || userInfo().username;
  const password = decode(url.password, 'password') || parameter('password');
  const optional = {
    password,
    rootCertificateFile: parameter('sslrootcert'),
    certificateFile: parameter('sslcert'),
    keyFile: parameter('sslkey'),
  };
  return {
    host,
    port: parsePort(url.port || parameter('port')),
    user,
    database: decode(url.pathname.slice(1), 'database') || parameter('dbname') || user,
    tlsMode: host.startsWith('/') ? 'disable' : parseTlsMode(parameter('sslmode')),
    ...withoutUndefined(optional),
  };
}

/** `host:5432, database "app", user "backup"`: all that may be shown. */
export function describeTarget(target: ConnectionTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `PostgreSQL at ${host}:${target.port}, database "${target.database}", user "${target.user}"`;
}

/**
 * What libpq's sslmode means for node:tls. Up to `require` the certificate is not checked, unless a root certificate
 * is given: then `require` is `verify-ca` (PostgreSQL documentation, "SSL Support").
 */
export async function tlsOptionsOf(target: ConnectionTarget): Promise<ConnectionOptions> {
  const readCertificate = async (path: string) => {
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      throw new SpokeError('CONFIG_INVALID', `${describeTarget(target)}: the TLS file ${path} cannot be read`, { cause });
    }
  };
  const root = target.rootCertificateFile === 'system' ? undefined : target.rootCertificateFile;
  const verifyChain = target.tlsMode.startsWith('verify') || (target.tlsMode === 'require' && root !== undefined);
  return {
    rejectUnauthorized: verifyChain,
    ...(root === undefined ? {} : { ca: await readCertificate(root) }),
    ...(target.certificateFile === undefined ? {} : { cert: await readCertificate(target.certificateFile) }),
    ...(target.keyFile === undefined ? {} : { key: await readCertificate(target.keyFile) }),
    ...(target.tlsMode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function parseUrl(text: string): URL {
  if (!/^postgres(ql)?:\/\//.test(text)) throw invalid('does not begin with postgresql://');
  try {
    return new URL(text);
  } catch {
    throw invalid('is not a URL: in user and password write / as %2F, @ as %40, # as %23, ? as %3F and % as %25');
  }
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`has a % in its ${part} that begins no escape: write it as %25`);
  }
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) throw invalid('has a port that is not a number from 1 to 65535');
  return port;
}

function parseTlsMode(text: string | undefined): TlsMode {
  switch (text) {
    case undefined:
    case 'allow':
    case 'prefer':
      return 'prefer';
    case 'disable':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return text;
    default:
      throw invalid('has an unknown sslmode (known: disable, allow, prefer, require, verify-ca, verify-full)');
  }
}

function invalid(why: string): SpokeError {
  return new SpokeError('CONFIG_INVALID', `A connection URL ${why}.`, { hint: 'Form: postgresql://user:password@host:5432/database' });
}

function withoutUndefined<T extends Record<string, string | undefined>>(from: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: string };
}
