import { composeCluster } from '../composition.ts';
import { remotePlaces } from '../composition-hosts.ts';
import type { Finding } from '../config/check.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { SecretContext } from '../config/resolve-secret.ts';
import { asSpokeError } from '../errors.ts';
import type { HostView } from '../ports/hosts.ts';
import type { DirectoryFacts } from '../ports/instance.ts';
import { type NodeObservation, observeServers } from '../workflows/observe-cluster.ts';
import type { Checked, Note } from './check-bucket.ts';

/** Whether every other host is reached, has this version of spoke-backup, and knows the same cluster. */
export async function checkHosts(
  configuration: Configuration,
  cluster: ClusterConfig,
  path: string,
  secrets: SecretContext & { readonly version: string },
): Promise<Checked> {
  const findings: Finding[] = [];
  const notes: Note[] = [];
  const places = remotePlaces(cluster);
  if (places.size === 0) return { findings, notes };
  const { signal } = secrets;
  const { ports } = await composeCluster(configuration, cluster, signal, { askForPrimary: false });
  const servers = await observeServers(cluster, ports, { signal });
  for (const place of places.keys()) {
    const at = pathOf(cluster, place, path);
    try {
      const view = await ports.hosts.look(place, { signal });
      notes.push({
        path: `${at}.ssh`,
        message: `${view.name} is reached: spoke-backup ${view.version} as ${view.instance.currentUser().name}`,
      });
      findings.push(...versionFindings(view, secrets.version, at), ...(await checkNode(place, servers, view, at, signal)));
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { message, hint } = asSpokeError(thrown);
      findings.push({ severity: 'error', path: `${at}.ssh`, message, hint });
    }
  }
  return { findings, notes };
}

function pathOf({ nodes, pgbouncer }: ClusterConfig, place: string, path: string): string {
  const node = nodes.findIndex(({ name }) => name === place);
  if (node >= 0) return `${path}.nodes[${node}]`;
  return `${path}.pgbouncer[${pgbouncer.findIndex(({ name }) => `pgbouncer:${name}` === place)}]`;
}

function versionFindings({ name, version }: HostView, own: string, at: string): Finding[] {
  if (version === own) return [];
  const message = `${name} has spoke-backup ${version}, this host has ${own}`;
  return [{ severity: 'warning', path: `${at}.ssh`, message, hint: 'Install the same version of spoke-backup on every host.' }];
}

async function checkNode(
  place: string,
  servers: readonly NodeObservation[],
  { instance, name }: HostView,
  at: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const observed = servers.find(({ node }) => node.name === place);
  const dataDirectory = observed?.node.dataDirectory;
  if (observed === undefined || dataDirectory === undefined) return [];
  const directory = await instance.inspectDirectory(dataDirectory, { signal });
  return directoryFindings({ directory, servers, host: name, node: place }, at);
}

/** What the data directory there says of whether it is a node of this cluster. */
export function directoryFindings(
  seen: { readonly directory: DirectoryFacts; readonly servers: readonly NodeObservation[]; readonly host: string; readonly node: string },
  at: string,
): Finding[] {
  const { directory, servers, host, node } = seen;
  const found = (message: string, hint: string): Finding[] => [{ severity: 'error', path: `${at}.dataDirectory`, message, hint }];
  if (directory.forbidden !== undefined)
    return found(`on ${host}: ${directory.forbidden}`, 'Set ssh.user to one who may, for example root.');
  const identifier = directory.control?.systemIdentifier;
  const other = servers.find(({ server }) => server !== undefined && identifier !== undefined && server.systemIdentifier !== identifier);
  if (other !== undefined) {
    const message = `${directory.path} on ${host} has the system identifier ${identifier}, the server of ${other.node.name} ${other.server?.systemIdentifier}: they are not one cluster`;
    return found(message, `Check url, ssh and dataDirectory of ${node} and ${other.node.name}.`);
  }
  const answers = servers.some((one) => one.node.name === node && one.server !== undefined);
  if (answers && directory.running === undefined)
    return found(`no server runs on ${directory.path} on ${host}, but the url of ${node} answers`, 'ssh and url name different hosts.');
  return [];
}
