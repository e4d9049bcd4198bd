import type { NodeConfig } from '../../config/model.ts';
import { formatLsn, type Lsn } from '../../domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import type { Topology } from '../../domain/topology/topology.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { compareCandidates, positionsOf } from '../../workflows/failover/compare.ts';
import { observeWalEnds } from '../../workflows/failover/observe.ts';
import { observeTopology, type TopologyObservation } from '../../workflows/observe-topology.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const POLL_MS = 100;
/** What the old primary has sent arrives within that, or not at all. */
const ARRIVING_LIMIT_MS = 5_000;

/** Who has most WAL once nobody writes any more. */
export function compareCandidatesHandlers(ports: HandlerPorts): HandlersOf<'compare-candidates'> {
  return {
    'compare-candidates': {
      preview: ({ node, others }) => [node, ...others].map((one) => ({ argv: [`(${one})`, 'SELECT pg_last_wal_receive_lsn()'] })),
      run: (step, context) => compare(ports, step, context),
    },
  };
}

async function compare(ports: HandlerPorts, step: StepOf<'compare-candidates'>, context: OperationContext) {
  const observed = await lookUntilNothingArrives(ports, step, context);
  const compared = compareCandidates(step, observed.topology, await observeWalEnds(observed, ports, context));
  if (compared.kind === 'another') throw compared.error;
  const received = Object.fromEntries([...positionsOf(observed.topology)].map(([node, lsn]) => [node, formatLsn(lsn)]));
  return { node: step.node, lost: compared.lost, received };
}

/** What was sent before the fence may still lie in a socket. */
async function lookUntilNothingArrives(
  ports: HandlerPorts,
  step: StepOf<'compare-candidates'>,
  context: OperationContext,
): Promise<TopologyObservation> {
  const look = () =>
    observeTopology({ nodes: nodesToLookAt(step) }, ports, { signal: context.signal }, BigInt(step.systemIdentifier) as SystemIdentifier);
  const deadlineMs = ports.clock.monotonicMs() + ARRIVING_LIMIT_MS;
  for (let before = await look(); ; ) {
    await ports.clock.sleep(POLL_MS, context.signal);
    const now = await look();
    const isStill = areSame(positionsOf(before.topology), positionsOf(now.topology)) && !isAwaited(now.topology);
    if (isStill || ports.clock.monotonicMs() > deadlineMs) return now;
    before = now;
  }
}

/** All by SQL; of those that are stopped their files, too. */
function nodesToLookAt({ node, others, fences }: StepOf<'compare-candidates'>): readonly NodeConfig[] {
  return [node, ...others].map((name) => {
    const held = fences.find((fence) => fence.kind === 'stopped' && fence.server.node === name);
    if (held?.kind !== 'stopped') return { name, service: { manager: 'pg_ctl' } };
    return { name, service: held.server.service, dataDirectory: held.server.dataDirectory };
  });
}

function areSame(before: ReadonlyMap<string, Lsn>, now: ReadonlyMap<string, Lsn>): boolean {
  return before.size === now.size && [...now].every(([node, lsn]) => before.get(node) === lsn);
}

/** Whether somebody streams who was told of more than it has. */
function isAwaited({ standbys }: Topology): boolean {
  return standbys.some(({ server: { replication } }) => {
    const { status, latestEndLsn } = replication?.receiver ?? {};
    return status === 'streaming' && latestEndLsn !== undefined && latestEndLsn > (replication?.receivedLsn ?? latestEndLsn);
  });
}
