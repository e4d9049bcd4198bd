import { SpokeError } from '../../errors.ts';

/** A server as others reach it. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface EndpointsRequest {
  readonly primary: Endpoint;
  /** In the order in which they are to be listed. */
  readonly standbys: readonly Endpoint[];
  readonly database: string;
  /** Absent: who connects says it. */
  readonly user?: string;
}

/** What applications read, by the names of the variables. Holds no password: those come from where passwords are kept. */
export interface EndpointValues {
  readonly SPOKE_POSTGRES_URL: string;
  /** Between commas; empty without standbys. */
  readonly SPOKE_POSTGRES_REPLICA_URLS: string;
}

export function endpointValues({ primary, standbys, database, user }: EndpointsRequest): EndpointValues {
  const urlOf = ({ host, port }: Endpoint) => {
    const authority = `${user === undefined ? '' : `${encoded(user)}@`}${host.includes(':') ? `[${host}]` : encoded(host)}:${port}`;
    return `postgresql://${authority}/${encoded(database)}`;
  };
  return { SPOKE_POSTGRES_URL: urlOf(primary), SPOKE_POSTGRES_REPLICA_URLS: standbys.map(urlOf).join(',') };
}

/**
 * The env file. What reads such files (a shell, systemd, Docker) each has quotes of its own, so nothing in here needs any: in the URLs all
 * that could mean something to one of them is percent-encoded. Throws INTERNAL where that is not so.
 */
export function endpointsText(values: EndpointValues): string {
  const lines = Object.entries(values).map(([name, value]: [string, string]) => `${name}=${checked(value)}`);
  return ['# Written by spoke-backup after each change of the cluster.', ...lines, ''].join('\n');
}

/** encodeURIComponent leaves five characters of which a shell knows some. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function checked(value: string): string {
  if (/^[A-Za-z0-9_.:/@%,[\]-]*$/.test(value)) return value;
  throw new SpokeError('INTERNAL', 'a URL would mean something else to a shell');
}
