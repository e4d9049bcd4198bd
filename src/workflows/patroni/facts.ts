import type { ClusterConfig } from '../../config/model.ts';
import { isLeader, type PatroniMember, type PatroniMemberState, type PatroniSighting } from '../../domain/patroni/view.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { FrontFacts } from '../change-primary/facts.ts';
import { observeFront, type WantedRoles } from '../change-primary/observe.ts';
import { observeTopology, type TopologyObservation } from '../observe-topology.ts';
import { observePatroni } from './observe.ts';

/** What Patroni says and what the servers say, of one moment. */
export interface PatroniFacts extends Pick<TopologyObservation, 'topology'> {
  readonly sighting: PatroniSighting | undefined;
  /** What members say of themselves, by name; who does not answer is not in it. */
  readonly states: ReadonlyMap<string, PatroniMemberState>;
  /** What clients come by; empty where nobody changes roles. */
  readonly front: FrontFacts;
}

const NO_FRONT: FrontFacts = { bouncers: [] };

/** `roles`: the nodes whose roles change, where clients have to be told. */
export async function observeForPatroni(
  cluster: ClusterConfig,
  ports: ReadPorts,
  context: OperationContext,
  roles?: WantedRoles,
): Promise<PatroniFacts> {
  const [{ topology }, sighting] = await Promise.all([observeTopology(cluster, ports, context), observePatroni(cluster, ports, context)]);
  const states = await Promise.all((sighting?.view?.members ?? []).map(({ name }) => stateOf(name, ports, context)));
  const hasFront = cluster.pgbouncer.length > 0 || cluster.endpoints !== undefined;
  const front = roles === undefined || !hasFront ? NO_FRONT : await observeFront(cluster, roles, topology, ports, context);
  return { topology, sighting, states: new Map(states.flatMap((state) => (state === undefined ? [] : [[state.name, state]]))), front };
}

async function stateOf(name: string, { patroni }: ReadPorts, context: OperationContext): Promise<PatroniMemberState | undefined> {
  try {
    return await patroni?.observeMember(name, context);
  } catch (thrown) {
    const { code } = asSpokeError(thrown);
    if (code === 'PATRONI_UNAVAILABLE' || code === 'PATRONI_FAILED' || code === 'TIMED_OUT') return undefined;
    throw thrown;
  }
}

/** For people. */
export function namesOf(members: readonly PatroniMember[]): string {
  return members.map((member) => (isLeader(member) ? `${member.name} (leader)` : member.name)).join(', ');
}
