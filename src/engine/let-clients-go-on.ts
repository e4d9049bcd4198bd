import type { ClusterConfig } from '../config/model.ts';
import { leaderOf, memberOfNode } from '../domain/patroni/view.ts';
import type { Topology } from '../domain/topology/topology.ts';
import { SpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { RunId } from '../ports/run-store.ts';
import { clientSteps } from '../workflows/change-primary/front.ts';
import { CLIENTS_GO_ON } from '../workflows/change-primary/journal.ts';
import { observeFront } from '../workflows/change-primary/observe.ts';
import { observeForPatroni, type PatroniFacts } from '../workflows/patroni/facts.ts';
import type { SwitchLeaderIntent } from '../workflows/patroni/intent.ts';
import { clientsMayWait, mayHaveAsked } from '../workflows/patroni/journal.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';

const POLL_MS = 250;
/** Less than what the engine gives for cleaning up. */
const LIMIT_MS = 45_000;
/** So long Patroni may take to begin with what it was asked for: it wakes up at once. */
const SETTLE_MS = 5_000;

/**
 * Where a run that ends has made clients wait, they go on with whoever leads: the old leader where nothing came of it, else the new one,
 * whom Patroni may have chosen itself. Throws TIMED_OUT where nobody leads: then they go on waiting.
 */
export async function letClientsGoOn(
  cluster: ClusterConfig,
  intent: SwitchLeaderIntent,
  ports: ReadPorts & WritePorts,
  context: OperationContext,
): Promise<void> {
  const run = await ports.runs.read(intent.run as RunId);
  if (!clientsMayWait(run)) return;
  const isSettled = mayHaveAsked(run)
    ? (primary: string, waitedMs: number) => primary !== intent.fromNode || waitedMs > SETTLE_MS
    : () => true;
  const { primary, topology } = await untilSomebodyServes(cluster, isSettled, ports, context);
  const front = await observeFront(cluster, { to: primary }, topology, ports, context);
  const handlers = withHosts(createStepHandlers(ports), ports);
  for (const step of clientSteps({ to: primary, pausedByPlan: false }, front)) await runWhereItBelongs(step, handlers, context);
  await ports.runWriter.append(run.header.runId, { at: ports.clock.now(), kind: 'note', message: CLIENTS_GO_ON, detail: { primary } });
}

async function untilSomebodyServes(
  cluster: ClusterConfig,
  isSettled: (primary: string, waitedMs: number) => boolean,
  ports: ReadPorts & WritePorts,
  { signal }: OperationContext,
): Promise<{ readonly primary: string; readonly topology: Topology }> {
  const begunMs = ports.clock.monotonicMs();
  for (;;) {
    const facts = await observeForPatroni(cluster, ports, { signal });
    const primary = servingNode(facts);
    const waitedMs = ports.clock.monotonicMs() - begunMs;
    if (primary !== undefined && isSettled(primary, waitedMs)) return { primary, topology: facts.topology };
    if (waitedMs > LIMIT_MS) throw new SpokeError('TIMED_OUT', 'nobody leads: clients of PgBouncer still wait; see: spoke-backup status');
    await ports.clock.sleep(POLL_MS, signal);
  }
}

/** Who accepts writes and leads, by its own word and by that of Patroni. */
function servingNode({ topology: { primary }, sighting }: PatroniFacts): string | undefined {
  const view = sighting?.view;
  if (primary === undefined || view === undefined) return undefined;
  const leader = leaderOf(view);
  return leader !== undefined && memberOfNode(primary.facts, view)?.name === leader.name ? primary.node : undefined;
}
