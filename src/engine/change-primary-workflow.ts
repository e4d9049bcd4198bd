import type { ClusterConfig } from '../config/model.ts';
import { SpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { RunId } from '../ports/run-store.ts';
import type { ChangePrimaryFacts } from '../workflows/change-primary/facts.ts';
import { type ChangePrimaryIntent, type SwitchoverIntent, withChosen } from '../workflows/change-primary/intent.ts';
import { BROUGHT_BACK, CANDIDATE_CHOSEN, chosenSince, mayHavePromoted } from '../workflows/change-primary/journal.ts';
import { observeForChange } from '../workflows/change-primary/observe.ts';
import { nodeOfFence, planFailover } from '../workflows/failover/plan.ts';
import { leadsBack, planBringingBack } from '../workflows/switchover/bring-back.ts';
import { planSwitchover } from '../workflows/switchover/plan.ts';
import type { RunNote, Workflow } from './execute-run.ts';
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
    async observe(intent, run, context) {
      const facts = await observeForChange(cluster, rolesOf(withChosen(intent, chosenSince(run))), intent.systemIdentifier, ports, context);
      return { ...facts, mayHavePromoted: mayHavePromoted(run), chosen: chosenSince(run) };
    },
    plan: (intent, facts) =>
      intent.verb === 'switchover' ? planSwitchover(intent, facts) : planFailover(withChosen(intent, facts.chosen), facts),
    otherWay: (_intent, facts, error) => anotherCandidate(facts, error),
    otherWayWords: 'it takes its place',
    outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded'),
    async cleanUp(intent, error, context) {
      // Whoever has the lease now decides what becomes of it.
      if (error.code !== 'LEASE_LOST') await bringBack(cluster, intent, ports, context);
    },
    async reasonAgainstAbandoning(intent, stored) {
      if (!mayHavePromoted(stored)) return undefined;
      const { run, to } = withChosen(intent, chosenSince(stored));
      return new SpokeError('REFUSED_PRECONDITION', `${run} has begun to promote ${to}: nothing leads back`, {
        hint: `Finish it: spoke-backup runs resume ${run}`,
      });
    },
    abandon: (intent, _run, context) => bringBack(cluster, intent, ports, context),
  };
}

/** Each is chosen once: what two that overtake each other mean is for somebody to see. */
function anotherCandidate({ chosen = [] }: ChangePrimaryFacts, { code, details }: SpokeError): readonly RunNote[] | undefined {
  const node = details['candidate'];
  if (code !== 'PLAN_STALE' || typeof node !== 'string' || chosen.includes(node)) return undefined;
  return [{ message: CANDIDATE_CHOSEN, detail: { node } }];
}

function rolesOf(intent: ChangePrimaryIntent) {
  return intent.verb === 'switchover'
    ? { to: intent.to, from: intent.from.node }
    : { to: intent.to, gone: intent.fences.map((fence) => nodeOfFence(fence)) };
}

/** The old primary of a switchover serves again, where nobody was promoted and nobody will be: by the journal, and by what the nodes show. */
async function bringBack(
  cluster: ClusterConfig,
  intent: ChangePrimaryIntent,
  ports: ReadPorts & WritePorts,
  context: OperationContext,
): Promise<void> {
  const run = intent.run as RunId;
  if (intent.verb === 'failover' || !leadsBack(await ports.runs.read(run))) return;
  const facts = await observeForChange(cluster, rolesOf(intent), intent.systemIdentifier, ports, context);
  const { start, resume } = planBringingBack(intent, facts);
  const handlers = withHosts(createStepHandlers(ports), ports);
  await runWhereItBelongs(start, handlers, context);
  await untilItServes(intent, ports, context);
  for (const step of resume) await runWhereItBelongs(step, handlers, context);
  await ports.runWriter.append(run, { at: ports.clock.now(), kind: 'note', message: BROUGHT_BACK, detail: { node: intent.from.node } });
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
