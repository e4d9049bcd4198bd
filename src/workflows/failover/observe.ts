import type { Topology } from '../../domain/topology/topology.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { WalEnd } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { instanceOf, orHostFault } from '../hosts.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import type { TopologyObservation } from '../observe-topology.ts';

/** Where the WAL of each node ends on which no server runs, as far as its host shows that. */
export async function observeWalEnds(
  { nodes, topology }: TopologyObservation,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReadonlyMap<string, WalEnd>> {
  const found = new Map<string, WalEnd>();
  for (const { node, directory } of stoppedOf(nodes, topology)) {
    const end = await orHostFault(instanceOf(node.name, ports, context).then((instance) => instance.readWalEnd(directory.path)));
    if ('found' in end && end.found !== undefined) found.set(node.name, end.found);
  }
  return found;
}

function stoppedOf(nodes: readonly NodeObservation[], { standbys, primaries }: Topology) {
  const running = new Set([...standbys, ...primaries].map(({ node }) => node));
  return nodes.flatMap(({ node, directory }) =>
    directory?.control === undefined || directory.running !== undefined || running.has(node.name) ? [] : [{ node, directory }],
  );
}
