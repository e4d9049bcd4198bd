import { userInfo } from 'node:os';
import { SpokeError } from '../../../errors.ts';
import type { ServerAddress } from '../../../ports/postgres-server.ts';

/** A server's address for libpq, its password apart: that goes into a file, never into an argument or the environment. */
export interface LibpqConnection {
  /** Holds no secret. */
  readonly uri: string;
  readonly password?: string;
}

/** What an address may say beside its host and user. libpq refuses what it does not know. */
const PARAMETERS = ['host', 'port', 'user', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'];
const CONNECT_TIMEOUT_SECONDS = '10';

/** Throws CONFIG_INVALID; the message never holds the URL. */
export function libpqConnectionOf(address: ServerAddress): LibpqConnection {
  const url = address.kind === 'socket' ? socketUrl(address) : parsed(address.url);
  const password = decodeURIComponent(url.password) || url.searchParams.get('password') || undefined;
  url.password = '';
  for (const name of new Set(url.searchParams.keys())) if (!PARAMETERS.includes(name)) url.searchParams.delete(name);
  if (url.username === '' && !url.searchParams.has('user')) url.searchParams.set('user', userInfo().username);
  url.searchParams.set('application_name', 'spoke-backup');
  url.searchParams.set('connect_timeout', CONNECT_TIMEOUT_SECONDS);
  // libpq takes a plus sign for itself.
  const uri = url.href.replaceAll('+', '%20');
  return password === undefined ? { uri } : { uri, password };
}

/** The one line of a password file. */
export function passwordFileText(password: string): string {
  return `*:*:*:*:${password.replaceAll(/[\\:]/g, (special) => `\\${special}`)}\n`;
}

function socketUrl({ socketDirectory, port, user }: Extract<ServerAddress, { kind: 'socket' }>): URL {
  const url = new URL('postgresql:///postgres');
  url.searchParams.set('host', socketDirectory);
  url.searchParams.set('port', String(port));
  url.searchParams.set('user', user);
  return url;
}

function parsed(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new SpokeError('CONFIG_INVALID', 'A connection URL is not a URL.', {
      hint: 'Form: postgresql://user:password@host:5432/database',
    });
  }
}
