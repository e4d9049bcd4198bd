import type { PrimaryConnection } from '../../domain/topology/replication-facts.ts';

/** `name = value`, where the value may be quoted and anything in it escaped (libpq: conninfo_parse). */
const PAIR = /\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))/gy;

/** Host, port and user of a connection string as libpq reads it, a URI or pairs; whatever else is in it is left behind. */
export function parseConninfo(text: string): PrimaryConnection {
  const { host, hostaddr, port, user } = /^postgres(?:ql)?:\/\//.test(text) ? ofUri(text) : ofPairs(text);
  const at = host === undefined || host === '' ? hostaddr : host;
  return {
    ...(at === undefined || at === '' ? {} : { host: at }),
    ...(port === undefined || !/^\d+$/.test(port) ? {} : { port: Number(port) }),
    ...(user === undefined || user === '' ? {} : { user }),
  };
}

function ofPairs(text: string): Record<string, string | undefined> {
  return Object.fromEntries(
    [...text.matchAll(PAIR)].map(([, name, quoted, plain]) => [name, (quoted ?? plain ?? '').replaceAll(/\\(.)/g, '$1')]),
  );
}

function ofUri(text: string): Record<string, string | undefined> {
  if (!URL.canParse(text)) return {};
  const url = new URL(text);
  const query = Object.fromEntries(url.searchParams);
  return {
    ...query,
    host: decodeURIComponent(url.hostname) || query['host'],
    port: url.port || query['port'],
    user: decodeURIComponent(url.username) || query['user'],
  };
}
