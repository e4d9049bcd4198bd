import type { ServerAddress } from '../../ports/postgres-server.ts';

/** How pg_receivewal is told where to connect: a string that anybody may see, and what stands in its password file. */
export interface ReceiverConnection {
  readonly dbname: string;
  /** Of a file of mode 0600; empty where there is no password. */
  readonly passwordFileText: string;
}

const SCHEME = /^postgres(?:ql)?:\/\//;
const SECRETS: ReadonlySet<string> = new Set(['password', 'sslpassword']);

/** A server that is gone without a word is noticed by the kernel within half a minute. */
const KEEPALIVES = {
  keepalives_idle: '10',
  keepalives_interval: '5',
  keepalives_count: '3',
  tcp_user_timeout: '20000',
  connect_timeout: '10',
};

/** Takes the password out of an address. The command line of a process is no secret. */
export function receiverConnection(address: ServerAddress, applicationName: string): ReceiverConnection {
  const added = Object.entries({ ...KEEPALIVES, application_name: applicationName });
  if (address.kind === 'socket') {
    const words = [['host', address.socketDirectory], ['port', String(address.port)], ['user', address.user], ...added];
    return { dbname: words.map(([name, value]) => `${name}=${quoted(value ?? '')}`).join(' '), passwordFileText: '' };
  }
  const { url, password } = withoutPassword(address.url);
  const parameters = added.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return {
    dbname: `${url}${url.includes('?') ? '&' : '?'}${parameters}`,
    passwordFileText: password === undefined ? '' : `*:*:*:*:${password.replaceAll(/[\\:]/g, String.raw`\$&`)}\n`,
  };
}

function withoutPassword(url: string): { readonly url: string; readonly password?: string } {
  const scheme = SCHEME.exec(url)?.[0] ?? '';
  const [authority = '', tail = ''] = parted(url.slice(scheme.length), /[/?#]/);
  const at = authority.lastIndexOf('@');
  const [user = '', ofUser] = at === -1 ? [] : parted(authority.slice(0, at), /:/);
  const [path = '', query] = parted(tail, /\?/);
  const parameters = query === undefined ? [] : query.slice(1).split('&');
  const ofQuery = parameters.find((one) => nameOf(one) === 'password')?.slice('password='.length);
  const kept = parameters.filter((one) => !SECRETS.has(nameOf(one)));
  const host = at === -1 ? authority : authority.slice(at);
  const password = ofUser?.slice(1) ?? ofQuery;
  return {
    url: `${scheme}${user}${host}${path}${kept.length === 0 ? '' : `?${kept.join('&')}`}`,
    ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
  };
}

/** What comes before the first match, and the rest with it. */
function parted(text: string, separator: RegExp): readonly [string, string?] {
  const at = text.search(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at)];
}

function nameOf(parameter: string): string {
  return parameter.split('=')[0]?.toLowerCase() ?? '';
}

/** A value of a connection string of libpq. */
function quoted(value: string): string {
  return `'${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
