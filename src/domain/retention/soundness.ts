import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import type { RetentionPolicy, Verdict } from './policy.ts';

/** Whether older backups may go because of this one. `why` is absent of a sound one. */
export interface Soundness {
  readonly state: 'sound' | 'unverified' | 'bad';
  readonly why?: string;
}

const SOUND: Soundness = { state: 'sound' };

/**
 * A backup is bad where it was stored with page checksum errors, where the newest verification or drill that looked at it found it
 * damaged (of two that contradict each other at one instant the bad one counts), or where a backup that it needs is bad or missing.
 * Where verification is required it is unverified until one has found it sound.
 */
export function assessSoundness(
  backups: readonly BaseBackup[],
  verdicts: readonly Verdict[],
  { requireVerified }: Pick<RetentionPolicy, 'requireVerified'>,
): ReadonlyMap<BackupLabel, Soundness> {
  const newest = newestVerdicts(verdicts);
  const found = new Map<BackupLabel, Soundness>();
  for (const backup of backups) found.set(backup.label, assess(backup, newest, found, requireVerified));
  return found;
}

interface NewestVerdicts {
  readonly ofRepository: Verdict | undefined;
  readonly ofBackup: ReadonlyMap<BackupLabel, Verdict>;
}

/** Backups come after those that they need. */
function assess(
  backup: BaseBackup,
  verdicts: NewestVerdicts,
  before: ReadonlyMap<BackupLabel, Soundness>,
  requireVerified: boolean,
): Soundness {
  if (backup.hasPageErrors) return { state: 'bad', why: `${backup.label} was stored with page checksum errors` };
  const verdict = verdictOn(backup, verdicts);
  if (verdict?.sound === false) return { state: 'bad', why: `${backup.label} was found damaged` };
  for (const needed of neededBy(backup)) {
    const state = before.get(needed);
    if (state === undefined) return { state: 'bad', why: `${backup.label} needs ${needed}, which is not there` };
    if (state.state === 'bad') return state;
  }
  if (requireVerified && verdict === undefined) return { state: 'unverified', why: `${backup.label} has not been verified yet` };
  return SOUND;
}

/** What a backup needs directly: those that its files lie in, and the one that it continues. */
export function neededBy({ references, prior }: BaseBackup): readonly BackupLabel[] {
  return prior === undefined || references.includes(prior) ? references : [...references, prior];
}

function newestVerdicts(verdicts: readonly Verdict[]): NewestVerdicts {
  const ofBackup = new Map<BackupLabel, Verdict>();
  let ofRepository: Verdict | undefined;
  for (const verdict of verdicts) {
    const other = verdict.label === undefined ? ofRepository : ofBackup.get(verdict.label);
    if (other !== undefined && !outweighs(verdict, other)) continue;
    if (verdict.label === undefined) ofRepository = verdict;
    else ofBackup.set(verdict.label, verdict);
  }
  return { ofRepository, ofBackup };
}

/** The newer of what was said of this backup and of all that were there; one of before it was complete says nothing. */
function verdictOn({ label, stopTime }: BaseBackup, { ofRepository, ofBackup }: NewestVerdicts): Verdict | undefined {
  const all = ofRepository !== undefined && ofRepository.at >= stopTime ? ofRepository : undefined;
  const own = ofBackup.get(label);
  return own === undefined || (all !== undefined && outweighs(all, own)) ? all : own;
}

/** The order in which verdicts come tells nothing: at one instant the bad one counts, since believing the other would let backups go. */
function outweighs(one: Verdict, other: Verdict): boolean {
  return one.at > other.at || (one.at === other.at && !one.sound);
}
