import type { SecretText } from './secrets.ts';

/** Stands for a reference while the text around it is looked at; cannot be in a template itself. */
const REFERENCE = '\u0001';
const SCHEME = /^postgres(?:ql)?:\/\//;
const SECRET_PARAMETERS: ReadonlySet<string> = new Set(['password', 'sslpassword']);
const LITERAL_PASSWORD =
  'a password in it must be a reference (${env:NAME} or ${file:/path}), or be given by passwordFile or passwordCommand';

/** What is wrong with a URL of a server, in words that do not quote it; undefined where nothing is. */
export function checkUrlTemplate(template: SecretText): string | undefined {
  const parts = template.parts();
  if (parts.length === 1 && typeof parts[0] !== 'string') return undefined;
  if (parts.some((part) => typeof part === 'string' && /[\u0000-\u0020\u007f]/.test(part))) {
    return 'spaces and control characters must be percent-encoded';
  }
  const text = joinTemplate(template);
  if (!SCHEME.test(text)) return 'it does not begin with postgresql://';
  const { userinfo, host, tail } = splitUrl(text);
  return checkUserinfo(userinfo) ?? checkTail(tail) ?? checkHost(host);
}

/** Whether it begins as a URL of PostgreSQL does. */
export function isPostgresUrl(url: string): boolean {
  return SCHEME.test(url);
}

/** Whether the template brings its password along. A template that is one reference may, which is seen when it is resolved. */
export function templateHasPassword(template: SecretText): boolean {
  return urlHasPassword(joinTemplate(template));
}

export function urlHasPassword(url: string): boolean {
  const { userinfo, tail } = splitUrl(url);
  return userinfo?.includes(':') === true || queryOf(tail).some(([name]) => name === 'password');
}

/** Puts a password into a URL that has none: behind the user where there is one, else as a parameter. */
export function addPassword(url: string, password: string): string {
  const { scheme, userinfo, host, tail } = splitUrl(url);
  const encoded = encodeURIComponent(password);
  if (userinfo !== undefined) return `${scheme}${userinfo}:${encoded}@${host}${tail}`;
  return `${url}${tail.includes('?') ? '&' : '?'}password=${encoded}`;
}

function joinTemplate(template: SecretText): string {
  return template
    .parts()
    .map((part) => (typeof part === 'string' ? part : REFERENCE))
    .join('');
}

interface UrlParts {
  readonly scheme: string;
  /** Undefined where there is no `@`. */
  readonly userinfo?: string;
  readonly host: string;
  /** Path and query. */
  readonly tail: string;
}

function splitUrl(url: string): UrlParts {
  const scheme = SCHEME.exec(url)?.[0] ?? '';
  const rest = url.slice(scheme.length);
  const end = rest.search(/[/?#]/);
  const authority = end === -1 ? rest : rest.slice(0, end);
  const tail = end === -1 ? '' : rest.slice(end);
  const at = authority.lastIndexOf('@');
  if (at === -1) return { scheme, host: authority, tail };
  return { scheme, userinfo: authority.slice(0, at), host: authority.slice(at + 1), tail };
}

function queryOf(tail: string): [name: string, value: string][] {
  const start = tail.indexOf('?');
  if (start === -1) return [];
  return tail
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const [name, ...value] = pair.split('=');
      return [decodeLeniently(name ?? '').toLowerCase(), value.join('=')];
    });
}

function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function checkUserinfo(userinfo: string | undefined): string | undefined {
  if (userinfo === undefined) return undefined;
  const [user, ...password] = userinfo.split(':');
  if (password.length > 0 && password.join(':') !== REFERENCE) return LITERAL_PASSWORD;
  return user === '' ? 'there is no user before the @' : undefined;
}

function checkTail(tail: string): string | undefined {
  if (/[@#]/.test(tail)) return '@ and # in a password, a path or a parameter must be percent-encoded';
  const literal = queryOf(tail).some(([name, value]) => SECRET_PARAMETERS.has(name) && value !== REFERENCE);
  return literal ? LITERAL_PASSWORD : undefined;
}

function checkHost(host: string): string | undefined {
  if (host.includes(',')) return 'it names several hosts; give each server a node of its own';
  const known = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\u0001-]*)(?::(?:\d{1,5}|\u0001))?$/.test(host);
  return known ? undefined : 'host and port cannot be read (is something not percent-encoded?)';
}
