import { leaderOf, type PatroniMember, type PatroniMemberState, runs } from '../../domain/patroni/view.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan } from '../../plan/step.ts';
import { clientSteps, endpointSteps, pauseSteps, requireBouncers, returnSteps } from '../change-primary/front.ts';
import { checkpointBefore } from '../change-primary/steps.ts';
import type { PatroniFacts } from './facts.ts';
import { requireView } from './guard.ts';
import type { PatroniIntent, ReinitializeIntent, SwitchLeaderIntent } from './intent.ts';
import { awaitMemberStep, reinitializeStep, switchLeaderStep } from './steps.ts';

const MINUTE_MS = 60_000;
const MEBIBYTE = 1024n * 1024n;
/** Of an old leader that has become a standby. */
const FOLLOWS_BYTES = 16n * MEBIBYTE;

/** What remains to be asked of Patroni. Pure. Throws PATRONI_UNAVAILABLE where it decides nothing. */
export function planByPatroni(intent: PatroniIntent, facts: PatroniFacts): Plan {
  requireView(facts.sighting);
  return intent.verb === 'reseed' ? planReseed(intent, facts) : planSwitchLeader(intent, facts);
}

/** Clients first, since they wait; the old leader follows by Patroni's doing, and where it does not come back nobody else has to wait for it. */
function planSwitchLeader(intent: SwitchLeaderIntent, { sighting, topology, front }: PatroniFacts): Plan {
  const { verb, from, fromNode, fromStartedAt, to, node, timeline, limitMs, warnings } = intent;
  const leader = leaderOf(requireView(sighting));
  requireAsDecided(intent, leader);
  const isDone = leader?.name === to;
  const isHandOver = verb === 'switchover' && !isDone;
  if (isHandOver) requireBouncers(front);
  const hasBegun = front.bouncers.some(({ paused }) => paused.length > 0);
  const isServing = topology.primary !== undefined && topology.primary.node === fromNode && !hasBegun;
  return {
    steps: [
      ...(isHandOver && isServing && pauseSteps(front).length > 0 ? [checkpointBefore(topology.primary.node)] : []),
      ...(isHandOver ? pauseSteps(front) : []),
      ...(isDone ? [] : [switchLeaderStep({ verb, from, to, node, timeline }, limitMs)]),
      ...clientSteps({ to: node, pausedByPlan: isHandOver, isGone: verb === 'failover' }, front),
      ...endpointSteps(front, node, 'without'),
      ...(verb === 'switchover' && from !== null
        ? [awaitMemberStep(from, fromStartedAt, FOLLOWS_BYTES, { timeoutMs: 5 * MINUTE_MS, onFailure: 'continue' })]
        : []),
      ...(verb === 'switchover' && fromNode !== null ? [...returnSteps(node, front), ...endpointSteps(front, node, 'with')] : []),
    ],
    warnings: [...warnings, ...front.bouncers.flatMap((bouncer) => bouncer.warnings)],
  };
}

/** Who leads by now is whoever led then, on the same timeline, or whom it was decided for; or nobody just now. */
function requireAsDecided({ from, to, timeline }: SwitchLeaderIntent, leader: PatroniMember | undefined): void {
  if (leader === undefined || leader.name === to) return;
  if (leader.name !== from) throw stale(`${leader.name} leads now, not ${from ?? 'nobody'}`);
  if (leader.timeline !== undefined && leader.timeline > timeline)
    throw stale(`${from} leads on timeline ${leader.timeline} now, not ${timeline}: it was replaced, and has come back`);
}

function stale(why: string): SpokeError {
  return new SpokeError('PLAN_STALE', `${why}: nothing is asked of Patroni`, { hint: 'See: spoke-backup status' });
}

function planReseed({ member, leader, startedAt, maxLagBytes, limitMs, warnings }: ReinitializeIntent, { states }: PatroniFacts): Plan {
  const isUnderWay = isAnother(states.get(member), startedAt);
  return {
    steps: [
      ...(isUnderWay ? [] : [reinitializeStep({ member, leader, startedAt })]),
      awaitMemberStep(member, startedAt, BigInt(maxLagBytes), { timeoutMs: limitMs }),
    ],
    warnings,
  };
}

/** Made anew already, or being made: of neither is it asked twice. */
function isAnother(state: PatroniMemberState | undefined, startedAt: string | null): boolean {
  if (state === undefined) return false;
  if (/^creating replica/.test(state.state)) return true;
  return runs(state) && state.startedAt !== undefined && state.startedAt !== startedAt;
}
