import { secondsBetween } from '../../domain/time/instant.ts';
import type { JournalEntry, StoredRun } from '../../ports/run-store.ts';
import type { LostRange } from '../../plan/change-primary-steps.ts';
import { COMPARISON, PROMOTION } from './intent.ts';

/** Noted where the old primary serves again. */
export const BROUGHT_BACK = 'the old primary was brought back';

/** Noted where a run that Patroni was asked for has ended early, and clients that it had made wait were sent to whoever leads. */
export const CLIENTS_GO_ON = 'clients go on';

/** The id of the step that asks Patroni for another leader. */
export const SWITCH_LEADER = 'switch-leader';

/** Noted where another standby than the one that was chosen turned out to have most. */
export const CANDIDATE_CHOSEN = 'another standby has most';

/** Who took whose place as the one that has most, in their order. */
export function chosenSince({ entries }: Pick<StoredRun, 'entries'>): readonly string[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'note' || entry.message !== CANDIDATE_CHOSEN) return [];
    const { node } = entry.detail as { readonly node: string };
    return [node];
  });
}

/** What a failover gives up, as it was seen after the fences; undefined where it has not come so far. */
export function lostAfterFences({ entries }: Pick<StoredRun, 'entries'>): LostRange | undefined {
  const compared = entries.findLast((entry) => entry.kind === 'step-finished' && entry.step === COMPARISON);
  return compared?.kind === 'step-finished' ? (compared.result as { readonly lost: LostRange }).lost : undefined;
}

/** With these codes the step that promotes ends before it has asked the server for anything. */
const BEFORE_ASKING: readonly string[] = ['PLAN_STALE', 'REFUSED_SERVER_RUNNING', 'REFUSED_PRECONDITION'];

/** Whether the promotion may have been asked for: then nothing leads back, whatever the candidate says just now. */
export function mayHavePromoted({ entries }: Pick<StoredRun, 'entries'>): boolean {
  const attempts = entries.filter((entry) => 'step' in entry && entry.step === PROMOTION);
  return attempts.some((entry, index) => entry.kind === 'step-started' && !wasRefused(attempts[index + 1]));
}

function wasRefused(entry: JournalEntry | undefined): boolean {
  return entry?.kind === 'step-failed' && BEFORE_ASKING.includes(entry.code);
}

/**
 * For how long nobody could write: from when the first client had to wait, the server was stopped, or Patroni was asked, until clients went on, or the new
 * primary accepted writes where nothing stands in front of it. Of a failover, which begins when nobody can write any more, from the run's
 * start on. Undefined where the journal does not tell: a process that died has not written when its last step ended.
 */
export function writeOutageSeconds({ header, entries }: StoredRun): number | undefined {
  const goneOn = [BROUGHT_BACK, CLIENTS_GO_ON];
  const sinceBack = entries.slice(entries.findLastIndex((entry) => entry.kind === 'note' && goneOn.includes(entry.message)) + 1);
  const begun = sinceBack.find(
    (entry) => entry.kind === 'step-started' && /^(pause-pgbouncer |stop-primary |switch-leader$)/.test(entry.step),
  );
  const from = header.verb === 'failover' ? header.startedAt : begun?.at;
  const ended = (pattern: RegExp) => sinceBack.findLast((entry) => entry.kind === 'step-finished' && pattern.test(entry.step));
  const lastPause = sinceBack.findLastIndex((entry) => entry.kind === 'step-started' && entry.step.startsWith('pause-pgbouncer '));
  const end = ended(/^resume-pgbouncer /) ?? (lastPause < 0 ? ended(new RegExp(`^(${PROMOTION}|${SWITCH_LEADER})$`)) : undefined);
  return from === undefined || end === undefined ? undefined : secondsBetween(from, end.at);
}
