import type { NodeConfig } from '../../config/model.ts';
import type { ReseedChoice } from '../../domain/topology/reseed-method.ts';
import type { ClusterNode, PrimaryNode, StandbyNode, Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import { decideReseed } from '../reseed/decide.ts';
import type { ReseedIntent } from '../reseed/intent.ts';
import type { ReseedRequest, ReseedWorld } from '../reseed/request.ts';

/** What is to be done so that a node is a standby of the primary. */
export type Rejoin =
  /** It streams from the primary, on its timeline. */
  | { readonly kind: 'nothing to do'; readonly primary: string; readonly timeline: number }
  | { readonly kind: 'reseed'; readonly intent: ReseedIntent; readonly world: ReseedWorld };

/**
 * How an old primary comes back as a standby. Pure. Throws why nothing may be done, and what comes first then. `preferRewind`: whatever
 * else would be cheaper.
 */
export function decideRejoin(request: ReseedRequest, world: ReseedWorld, { preferRewind = true } = {}): Rejoin {
  const { cluster, node } = request;
  const { role, topology } = world;
  if (cluster.patroni === undefined && role.role === 'primary') throw whyPrimary(role, topology, world.target.node);
  if (role.role === 'standby' && topology.primary !== undefined && isGood(role, topology.primary))
    return { kind: 'nothing to do', primary: topology.primary.node, timeline: role.server.timeline };
  const choice = world.seeding === undefined || !preferRewind ? undefined : rewindWherePossible(world.seeding.choice);
  const wanted = { ...world, ...(world.seeding && choice ? { seeding: { ...world.seeding, choice } } : {}) };
  try {
    return { kind: 'reseed', intent: decideReseed(request, wanted), world: wanted };
  } catch (thrown) {
    throw cluster.patroni === undefined && topology.primaries.length === 0 && role.role !== 'stranger' ? noPrimary(node) : thrown;
  }
}

/** What both histories have in common stays where it is: that is what the old data is worth, whatever else would be cheap. */
function rewindWherePossible(choice: ReseedChoice): ReseedChoice {
  const rewind = choice.options.find(({ method, kind }) => method === 'rewind' && kind === 'possible');
  if (rewind?.kind !== 'possible') return choice;
  return { ...choice, chosen: rewind, reason: 'its own data is good up to where the histories part' };
}

function isGood({ upstream, server }: StandbyNode, primary: PrimaryNode): boolean {
  const follows = upstream.kind === 'hidden' || (upstream.kind === 'node' && upstream.node === primary.node);
  return follows && server.timeline === primary.server.timeline;
}

function whyPrimary(role: ClusterNode & { readonly role: 'primary' }, { primaries }: Topology, node: NodeConfig): SpokeError {
  const others = primaries.filter((one) => one.node !== role.node);
  const [other] = others;
  if (other === undefined)
    return new SpokeError('REFUSED_PRECONDITION', `${role.node} is the primary: there is nobody else that it could be a standby of`, {
      hint: 'Where another node shall be the primary: spoke-backup switchover --to <node>',
    });
  const isNewer = others.every((one) => one.server.timeline < role.server.timeline);
  const listed = others.map((one) => `${one.node} (timeline ${one.server.timeline})`).join(' and ');
  return new SpokeError(
    'REFUSED_PRECONDITION',
    `${role.node} (timeline ${role.server.timeline}) runs as a second primary beside ${listed}: nothing of it is touched`,
    {
      details: { node: role.node, timeline: role.server.timeline, others: others.map((one) => one.node) },
      hint: isNewer
        ? `The newer one is ${role.node}. Where it is the right one: stop ${other.node} on its host, then: spoke-backup rejoin ${other.node}`
        : `Where it is the wrong one, stop it on its host (${stopCommand(node)}), then: spoke-backup rejoin ${role.node}`,
    },
  );
}

function stopCommand({ service, dataDirectory }: NodeConfig): string {
  switch (service.manager) {
    case 'systemd':
      return `systemctl stop ${service.unit}`;
    case 'pg_ctlcluster':
      return `pg_ctlcluster ${service.version} ${service.clusterName} stop`;
    default:
      return `pg_ctl stop -D ${dataDirectory ?? '<data directory>'} -m fast`;
  }
}

function noPrimary(node: string): SpokeError {
  return new SpokeError('POSTGRES_UNAVAILABLE', `no primary answers that ${node} could follow`, {
    hint: 'Have one first: start it, or: spoke-backup failover --dry-run',
  });
}
