import type { ClusterConfig } from '../../config/model.ts';
import type { ClusterNode } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import { heldServerOf } from '../change-primary/held-server.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import type { TopologyObservation } from '../observe-topology.ts';
import type { RestoreIntent, StandbyOfRestore } from '../restore/intent.ts';

/** What the operator said of the rest of the cluster. */
export interface ClusterWish {
  /** --only-node: the standbys are left as they are. */
  readonly onlyNode: boolean;
  readonly thenBackup: boolean;
}

/**
 * The same restore with the standbys of the node in it, where it is in place and ends in a primary. Pure. Throws REFUSED_PRECONDITION where
 * another primary would go on beside the restored one.
 */
export function withStandbys(
  intent: RestoreIntent,
  cluster: Pick<ClusterConfig, 'patroni'>,
  { onlyNode, thenBackup }: ClusterWish,
  observation: TopologyObservation,
): RestoreIntent {
  const { inPlaceNode, start, targetAction } = intent;
  if (inPlaceNode === null) return intent;
  requireNoOtherPrimary(inPlaceNode, observation);
  if (onlyNode || !start || targetAction === 'pause' || cluster.patroni !== undefined) return intent;
  const others = observation.topology.nodes.filter(({ node }) => node !== inPlaceNode);
  const standbys = others.filter(isStandby).flatMap((one) => standbyOf(one, observation.nodes));
  if (standbys.length === 0) return intent;
  const seeded = standbys.map(({ server }) => server.node);
  return {
    ...intent,
    standbys,
    thenBackup,
    warnings: [
      ...intent.warnings.filter((text) => !text.startsWith(SEEDED_BY_HAND)),
      `${seeded.join(' and ')} ${seeded.length === 1 ? 'goes' : 'go'} along: stopped with ${inPlaceNode}, and seeded again from it`,
      ...others
        .filter(({ node, role }) => !seeded.includes(node) && role !== 'stranger')
        .map(({ node }) => `${node} cannot be looked at and is left as it is; once it is back: spoke-backup reseed ${node}`),
    ],
  };
}

/** How the warning of a restore of one node begins. */
const SEEDED_BY_HAND = 'afterwards ';

function requireNoOtherPrimary(inPlaceNode: string, { topology }: TopologyObservation): void {
  const other = topology.primaries.find(({ node }) => node !== inPlaceNode);
  if (other === undefined) return;
  throw new SpokeError('REFUSED_PRECONDITION', `${other.node} is the primary, and would be one beside the restored ${inPlaceNode}`, {
    hint: `Restore the primary itself: --in-place ${other.node}; or seed the standby: spoke-backup reseed ${inPlaceNode}`,
  });
}

/** Whether it is one, or would be once it is started. */
export function isStandby(node: ClusterNode | undefined): boolean {
  return node?.role === 'standby' || (node?.role === 'stopped' && node.wouldBe === 'standby');
}

function standbyOf({ node, facts }: ClusterNode, nodes: readonly NodeObservation[]): readonly StandbyOfRestore[] {
  const observed = nodes.find((one) => one.node.name === node);
  const server = observed === undefined ? undefined : heldServerOf(observed, facts.address?.port);
  const owner = observed?.directory?.owner;
  return server === undefined || owner === undefined ? [] : [{ server, owner }];
}
