import type { NodeConfig } from '../../config/model.ts';
import { SpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';

/** Where others reach a server. */
export interface PublicAddress {
  readonly host: string;
  readonly port: number;
}

/** As the configuration says, else host and port of the node's URL. Throws CONFIG_INVALID where that is not for others. */
export async function publicAddressOf(node: NodeConfig, { access }: Pick<ReadPorts, 'access'>): Promise<PublicAddress> {
  if (node.address !== undefined) return node.address;
  const address = await access.addressOf(node.name);
  if (address?.kind === 'url') {
    const url = new URL(address.url);
    const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || url.searchParams.get('host') || 'localhost';
    if (!host.startsWith('/')) return { host, port: Number(url.port || url.searchParams.get('port') || 5432) };
  }
  throw new SpokeError('CONFIG_INVALID', `it is not known where others reach ${node.name}`, {
    hint: `Say it in the configuration of that node: address: {host: …, port: …}`,
  });
}

/** User, host and port of a PgBouncer's admin console. */
export function consoleOf(adminUrl: string): { readonly user: string; readonly password: string; readonly port: number } {
  const url = new URL(adminUrl);
  return {
    user: decodeURIComponent(url.username) || (url.searchParams.get('user') ?? ''),
    password: decodeURIComponent(url.password) || (url.searchParams.get('password') ?? ''),
    port: Number(url.port || url.searchParams.get('port') || 5432),
  };
}
