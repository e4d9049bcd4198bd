import { nodeOf, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { Step } from '../../plan/step.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { ChangePrimaryFacts } from '../change-primary/facts.ts';
import type { SwitchoverIntent } from '../change-primary/intent.ts';
import { mayHavePromoted } from '../change-primary/journal.ts';
import { changeStep } from '../change-primary/step.ts';
import { resumeStep } from '../change-primary/steps.ts';

/** Whether a run has held up clients or the server and can have promoted nobody: only then there is a way back, and something to bring back. */
export function leadsBack(run: Pick<StoredRun, 'entries'>): boolean {
  const hasInterrupted = run.entries.some((entry) => entry.kind === 'step-started' && /^(pause-pgbouncer|stop-primary) /.test(entry.step));
  return hasInterrupted && !mayHavePromoted(run);
}

/**
 * What has the old primary serve again. Pure. Throws REFUSED_PRECONDITION where the candidate is not seen to be a standby, running or not,
 * or somebody else is a primary: then everything is left as it is.
 */
export function planBringingBack(
  intent: SwitchoverIntent,
  facts: ChangePrimaryFacts,
): { readonly start: Step; readonly resume: readonly Step[] } {
  requireNobodyElse(intent, facts.topology);
  const resume = facts.bouncers.flatMap(({ name, databases, paused }) => {
    const waiting = databases.filter((database) => paused.includes(database));
    return waiting.length === 0 ? [] : [resumeStep(name, waiting)];
  });
  return { start: bringBackStep(intent), resume };
}

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
