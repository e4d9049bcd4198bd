import type { PatroniStep } from '../../plan/patroni-steps.ts';
import type { Step, StepBase } from '../../plan/step.ts';
import { SWITCH_LEADER } from '../change-primary/journal.ts';

/** The id of the step that begins maintenance mode. */
export const PAUSE_PATRONI = 'pause-patroni';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

type Words = Pick<StepBase, 'id' | 'title' | 'reason' | 'probe'> & Partial<Pick<StepBase, 'effect' | 'timeoutMs' | 'onFailure' | 'retry'>>;

function patroniStep(words: Words, step: PatroniStep): Step {
  return { effect: 'write', timeoutMs: 2 * MINUTE_MS, retry: 'never', onFailure: 'stop', ...words, ...step };
}

/** Maintenance mode on: right before something is stopped that Patroni would start again, or replace by another. */
export function pauseStep(reason: string): Step {
  const words = { id: PAUSE_PATRONI, title: 'Pause Patroni (maintenance mode)', reason, probe: 'every member says that it is paused' };
  return patroniStep({ ...words, retry: 'transient' }, { kind: 'pause-patroni' });
}

/** Maintenance mode off, once Patroni takes `leader` for the leader (null: whoever it is). */
export function resumeStep(leader: string | null): Step {
  return patroniStep(
    {
      id: 'resume-patroni',
      title: 'Let Patroni go on',
      reason: leader === null ? 'whatever it was paused for is over' : `it looks after the cluster again, with ${leader} as its leader`,
      probe: 'no member says that it is paused',
      retry: 'transient',
    },
    { kind: 'resume-patroni', leader },
  );
}

export function switchLeaderStep(step: Omit<Extract<PatroniStep, { kind: 'switch-leader' }>, 'kind'>, limitMs: number): Step {
  const { verb, from, to } = step;
  const words = {
    id: SWITCH_LEADER,
    effect: 'destructive' as const,
    title:
      from === null
        ? `Have Patroni make ${to} the leader`
        : `Have Patroni ${verb === 'switchover' ? 'hand over' : 'fail over'} from ${from} to ${to}`,
    reason: 'it holds the lock that keeps two servers from being primaries at once; nothing is promoted beside it',
    probe: `Patroni has ${to} as its leader, and it accepts writes`,
    timeoutMs: limitMs,
  };
  return patroniStep(words, { kind: 'switch-leader', ...step });
}

export function reinitializeStep(step: Omit<Extract<PatroniStep, { kind: 'reinitialize-member' }>, 'kind'>): Step {
  const { member } = step;
  const words = {
    id: 'reinitialize-member',
    effect: 'destructive' as const,
    title: `Have Patroni throw the data of ${member} away and make it anew`,
    reason: 'by its replica creation methods, in their order: a backup first where setup patroni was followed',
    probe: `the server of ${member} was started later`,
  };
  return patroniStep(words, { kind: 'reinitialize-member', ...step });
}

/** `startedAt`: of the server that must be another one by then; null: none was seen. */
export function awaitMemberStep(member: string, startedAt: string | null, maxLagBytes: bigint, options: Partial<StepBase> = {}): Step {
  return patroniStep(
    {
      id: `await-member ${member}`,
      effect: 'read',
      title: `Wait until ${member} streams from the leader, on its timeline`,
      reason: 'a standby counts once it follows',
      probe: 'the leader sends WAL to it, and it has replayed almost all',
      timeoutMs: HOUR_MS,
      ...options,
    },
    { kind: 'await-member', member, startedAt, maxLagBytes: String(maxLagBytes) },
  );
}
