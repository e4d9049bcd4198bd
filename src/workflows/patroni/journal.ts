import type { JournalEntry, StoredRun } from '../../ports/run-store.ts';
import { CLIENTS_GO_ON, SWITCH_LEADER } from '../change-primary/journal.ts';

type Entries = Pick<StoredRun, 'entries'>;

/** With these codes the step that asks Patroni ends before it has asked, or Patroni has refused: nothing comes of it later. */
const NOTHING_COMES: readonly string[] = ['PLAN_STALE', 'PATRONI_FAILED', 'PATRONI_DENIED'];

/** Whether a run has made clients wait, and has not let them go on when it ended. */
export function clientsMayWait(run: Entries): boolean {
  return sinceClientsWentOn(run).some((entry) => entry.kind === 'step-started' && entry.step.startsWith('pause-pgbouncer '));
}

/** Whether Patroni may be about to do what it was asked for, whatever it shows just now. */
export function mayHaveAsked(run: Entries): boolean {
  const attempts = sinceClientsWentOn(run).filter((entry) => 'step' in entry && entry.step === SWITCH_LEADER);
  return attempts.some((entry, index) => entry.kind === 'step-started' && !wasRefused(attempts[index + 1]));
}

function wasRefused(entry: JournalEntry | undefined): boolean {
  return entry?.kind === 'step-failed' && NOTHING_COMES.includes(entry.code);
}

function sinceClientsWentOn({ entries }: Entries): readonly JournalEntry[] {
  return entries.slice(entries.findLastIndex((entry) => entry.kind === 'note' && entry.message === CLIENTS_GO_ON) + 1);
}
