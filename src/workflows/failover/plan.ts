import { nodeOf, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { Fence } from '../../plan/change-primary-steps.ts';
import type { Plan, Step } from '../../plan/step.ts';
import { stepsAfterPromotion } from '../change-primary/after.ts';
import type { ChangePrimaryFacts } from '../change-primary/facts.ts';
import { COMPARISON, type FailoverIntent } from '../change-primary/intent.ts';
import { changeStep } from '../change-primary/step.ts';
import { promoteStep, stopStep } from '../change-primary/steps.ts';

/** The tail of the whole, from wherever it has come to. Pure. Throws PLAN_STALE where somebody else is a primary, POSTGRES_UNAVAILABLE. */
export function planFailover(intent: FailoverIntent, facts: ChangePrimaryFacts): Plan {
  const { to, systemIdentifier, timeline, fences } = intent;
  const { limitMs } = facts;
  const others = facts.topology.nodes.map(({ node }) => node).filter((node) => node !== to);
  const before = isPromoted(intent, facts.topology)
    ? []
    : [
        ...fences.flatMap((fence) => fenceSteps(fence, limitMs)),
        compareStep(intent, others, facts.mayHavePromoted === true),
        promoteStep({ to, systemIdentifier, timeline, fences, others, limitMs }),
      ];
  return {
    steps: [...before, ...stepsAfterPromotion({ to, pausedByPlan: false, isGone: true }, facts)],
    warnings: [
      ...fences.map(
        (fence) =>
          `${nodeOfFence(fence)} is no standby yet afterwards (spoke-backup rejoin ${nodeOfFence(fence)}): what only it has is not in ${to}`,
      ),
      ...facts.bouncers.flatMap(({ warnings }) => warnings),
    ],
  };
}

function isPromoted({ to, timeline }: FailoverIntent, topology: Topology): boolean {
  const other = topology.primaries.find(({ node }) => node !== to);
  if (other !== undefined)
    throw new SpokeError('PLAN_STALE', `${other.node} is a primary: nothing is promoted beside it`, { hint: 'See: spoke-backup status' });
  const node = nodeOf(topology, to);
  if (node?.role === 'primary' && node.server.timeline > timeline) return true;
  if (node?.role === 'standby' && node.server.timeline === timeline) return false;
  if (node?.role === 'unreachable') throw new SpokeError('POSTGRES_UNAVAILABLE', `${to} does not answer: ${node.reason}`);
  throw new SpokeError('PLAN_STALE', `${to} is not the standby on timeline ${timeline} that was chosen`);
}

function compareStep(intent: FailoverIntent, others: readonly string[], mayHavePromoted: boolean): Step {
  const { to: node, isNamed, systemIdentifier, timeline, fences, lost } = intent;
  const { held: _held, ...planned } = lost;
  const choice = mayHavePromoted ? 'asked' : isNamed ? 'named' : 'best';
  return changeStep(
    {
      id: COMPARISON,
      effect: 'read',
      title: `See once more who has most, and what is lost with ${node}`,
      reason: 'until its fence the old primary may have written and sent more',
      probe: 'pg_last_wal_receive_lsn(), and the WAL of what is stopped',
      retry: 'never',
    },
    { kind: 'compare-candidates', node, choice, systemIdentifier, timeline, fences, others, planned },
  );
}

export function nodeOfFence(fence: Fence): string {
  return fence.kind === 'stopped' ? fence.server.node : fence.node;
}

function fenceSteps(fence: Fence, limitMs: number): readonly Step[] {
  switch (fence.kind) {
    case 'stopped':
      return [stopStep(fence.server, 'immediate', 'it might still be a primary, or become one where somebody starts it', limitMs)];
    case 'command': {
      const { node, command } = fence;
      const words = {
        id: `fence-by-command ${node}`,
        effect: 'destructive' as const,
        title: `Fence ${node}: ${command.join(' ')}`,
        reason: 'its host does not tell whether it still accepts writes',
        probe: 'none: it is run again where the run goes on before the promotion',
        timeoutMs: limitMs,
      };
      return [changeStep(words, { kind: 'fence-by-command', node, command })];
    }
    case 'declared':
      return [];
  }
}
