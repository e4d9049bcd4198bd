import { leaderOf, type PatroniMemberState, runs } from '../../domain/patroni/view.ts';
import type { Plan } from '../../plan/step.ts';
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

/** The old leader follows by Patroni's doing; where it does not come back nobody else has to wait for it. */
function planSwitchLeader(intent: SwitchLeaderIntent, { sighting }: PatroniFacts): Plan {
  const { verb, from, fromStartedAt, to, node, timeline, limitMs, warnings } = intent;
  const isDone = leaderOf(requireView(sighting))?.name === to;
  const mayComeBack = verb === 'switchover' && from !== null;
  return {
    steps: [
      ...(isDone ? [] : [switchLeaderStep({ verb, from, to, node, timeline }, limitMs)]),
      ...(mayComeBack ? [awaitMemberStep(from, fromStartedAt, FOLLOWS_BYTES, { timeoutMs: 5 * MINUTE_MS, onFailure: 'continue' })] : []),
    ],
    warnings,
  };
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
