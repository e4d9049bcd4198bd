import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { RemotePlace } from './adapters/ssh/hosts.ts';
import { ownIdentity } from './adapters/state/process-identity.ts';
import { takePlaceLock } from './adapters/state/place-lock.ts';
import type { ClusterConfig, SshConfig } from './config/model.ts';
import { type HostPorts, NO_OTHER_HOSTS } from './engine/on-hosts.ts';
import { SpokeError } from './errors.ts';
import type { Place } from './ports/hosts.ts';
import type { ProcessRunner } from './ports/process-runner.ts';

const POLL_MS = 200;
/** An agent that was cut off notices it within a minute, and then ends what it had started. */
const CLAIM_WAIT_MS = 90_000;

/** Other hosts of a cluster, by OpenSSH. Connects to nothing yet; what that takes is loaded only where there are any. */
export async function composeHosts(cluster: ClusterConfig, runner: ProcessRunner): Promise<HostPorts> {
  const places = remotePlaces(cluster);
  if (places.size === 0) return NO_OTHER_HOSTS;
  const { createSshHosts } = await import('./adapters/ssh/hosts.ts');
  const agentSocket = process.env['SSH_AUTH_SOCK'];
  const environment = agentSocket === undefined ? {} : { SSH_AUTH_SOCK: agentSocket };
  const hosts = createSshHosts({ runner, cluster: cluster.name, places, environment });
  return { hosts, hostControl: hosts };
}

/** What of the cluster is configured to be on another host. */
export function remotePlaces({ nodes, pgbouncer }: Pick<ClusterConfig, 'nodes' | 'pgbouncer'>): ReadonlyMap<Place, RemotePlace> {
  const placeOf = (place: Place, ssh: SshConfig | undefined, node?: string): readonly (readonly [Place, RemotePlace])[] =>
    ssh === undefined ? [] : [[place, { ssh, ...(node === undefined ? {} : { node }) }]];
  return new Map([
    ...nodes.flatMap(({ name, ssh }) => placeOf(name, ssh, name)),
    ...pgbouncer.flatMap(({ name, ssh }) => placeOf(`pgbouncer:${name}`, ssh)),
  ]);
}

/** Keeps other agents of this host from the place, once none has it any more. Throws LOCKED. */
export async function claimPlace(stateDirectory: string, place: Place, signal: AbortSignal): Promise<{ release(): Promise<void> }> {
  const identity = { ...(await ownIdentity()), host: hostname() };
  const deadline = performance.now() + CLAIM_WAIT_MS;
  for (;;) {
    const taken = await takePlaceLock(stateDirectory, place, identity);
    if ('release' in taken) return taken;
    if (performance.now() > deadline)
      throw new SpokeError('LOCKED', `process ${taken.pid} on ${taken.host} works for another spoke-backup on ${place}`, {
        details: { pid: taken.pid, host: taken.host },
      });
    await delay(POLL_MS, undefined, { signal });
  }
}
