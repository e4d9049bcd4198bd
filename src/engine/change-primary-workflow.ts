import type { ClusterConfig } from '../config/model.ts';
import { nodeOf, type Topology } from '../domain/topology/topology.ts';
import { SpokeError } from '../errors.ts';
import type { Step } from '../plan/step.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { RunId, StoredRun } from '../ports/run-store.ts';
import type { ChangePrimaryFacts } from '../workflows/change-primary/facts.ts';
import type { ChangePrimaryIntent, SwitchoverIntent } from '../workflows/change-primary/intent.ts';
import { BROUGHT_BACK, mayHavePromoted } from '../workflows/change-primary/journal.ts';
import { observeForChange } from '../workflows/change-primary/observe.ts';
import { changeStep } from '../workflows/change-primary/step.ts';
import { resumeStep } from '../workflows/change-primary/steps.ts';
import { planFailover } from '../workflows/failover/plan.ts';
import { planSwitchover } from '../workflows/switchover/plan.ts';
import type { Workflow } from './execute-run.ts';
import { ifItAnswers } from './handlers/connect.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';

const POLL_MS = 100;
const STARTING_LIMIT_MS = 30_000;

/** Making another node the primary, as the engine runs it. */
export function changePrimaryWorkflow(
  cluster: ClusterConfig,
  verb: ChangePrimaryIntent['verb'],
  ports: ReadPorts & WritePorts,
): Workflow<ChangePrimaryIntent, ChangePrimaryFacts> {
  return {
    title: verb,
    claim: () => ({ verb: 'failover', repositories: cluster.repositories.map(({ name }) => name) }),
    observe: (intent, _run, context) => observeForChange(cluster, rolesOf(intent), intent.systemIdentifier, ports, context),
    plan: (intent, facts) => (intent.verb === 'switchover' ? planSwitchover(intent, facts) : planFailover(intent, facts)),
    outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded'),
    async cleanUp(intent, error, context) {
      // Whoever has the lease now decides what becomes of it.
      if (error.code !== 'LEASE_LOST') await bringBack(cluster, intent, ports, context);
    },
    async reasonAgainstAbandoning({ run, to }, stored) {
      if (!mayHavePromoted(stored)) return undefined;
      return new SpokeError('REFUSED_PRECONDITION', `${run} has begun to promote ${to}: nothing leads back`, {
        hint: `Finish it: spoke-backup runs resume ${run}`,
      });
    },
    abandon: (intent, context) => bringBack(cluster, intent, ports, context),
  };
}

function rolesOf(intent: ChangePrimaryIntent) {
  return intent.verb === 'switchover' ? { to: intent.to, from: intent.from.node } : { to: intent.to };
}

/**
 * The old primary of a switchover serves again, where nobody was promoted and nobody will be: by the journal, and by what the nodes show.
 * Throws REFUSED_PRECONDITION where that is not certain, and leaves everything as it is.
 */
async function bringBack(
  cluster: ClusterConfig,
  intent: ChangePrimaryIntent,
  ports: ReadPorts & WritePorts,
  context: OperationContext,
): Promise<void> {
  if (intent.verb === 'failover') return;
  const run = await ports.runs.read(intent.run as RunId);
  if (!hasInterrupted(run) || mayHavePromoted(run)) return;
  const facts = await observeForChange(cluster, rolesOf(intent), intent.systemIdentifier, ports, context);
  requireNobodyElse(intent, facts.topology);
  const handlers = withHosts(createStepHandlers(ports), ports);
  const perform = (step: Step) => runWhereItBelongs(step, handlers, context);
  await perform(bringBackStep(intent));
  await untilItServes(intent, ports, context);
  for (const { name, databases, paused } of facts.bouncers) {
    const waiting = databases.filter((database) => paused.includes(database));
    if (waiting.length > 0) await perform(resumeStep(name, waiting));
  }
  await ports.runWriter.append(intent.run as RunId, {
    at: ports.clock.now(),
    kind: 'note',
    message: BROUGHT_BACK,
    detail: { node: intent.from.node },
  });
}

/** Whether it has held up clients or the server at all. */
function hasInterrupted({ entries }: StoredRun): boolean {
  return entries.some((entry) => entry.kind === 'step-started' && /^(pause-pgbouncer|stop-primary) /.test(entry.step));
}

/** The candidate must be seen to be a standby, running or not; and nobody else a primary. */
function requireNobodyElse({ run, to, from }: SwitchoverIntent, topology: Topology): void {
  const candidate = nodeOf(topology, to);
  const isStandby = candidate?.role === 'standby' || (candidate?.role === 'stopped' && candidate.wouldBe === 'standby');
  const other = topology.primaries.find(({ node }) => node !== from.node);
  if (isStandby && other === undefined) return;
  const why = other === undefined ? `nobody knows what ${to} is just now` : `${other.node} is a primary`;
  throw new SpokeError('REFUSED_PRECONDITION', `${from.node} was not brought back: ${why}`, {
    hint: `See: spoke-backup status; then: spoke-backup runs resume ${run}`,
  });
}

function bringBackStep({ from }: SwitchoverIntent): Step {
  return changeStep(
    {
      id: 'bring-back-primary',
      effect: 'destructive',
      title: `Take standby.signal away from ${from.dataDirectory} and start ${from.node}`,
      reason: 'nobody was promoted: it is the primary',
      probe: 'a server runs there, not in recovery',
      on: from.node,
    },
    { kind: 'bring-back-primary', server: from },
  );
}

async function untilItServes({ from }: SwitchoverIntent, ports: ReadPorts & WritePorts, { signal }: OperationContext): Promise<void> {
  const address = await ports.access.addressOf(from.node);
  const deadlineMs = ports.clock.monotonicMs() + STARTING_LIMIT_MS;
  while (address !== undefined) {
    const server = await ifItAnswers(ports.postgres.observeServer(address, { signal }));
    if (server?.inRecovery === false) return;
    if (ports.clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `${from.node} was started again and does not accept writes yet`);
    await ports.clock.sleep(POLL_MS, signal);
  }
}
