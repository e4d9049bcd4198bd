import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { Verdict } from '../../domain/retention/policy.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { StoredRun } from '../../ports/run-store.ts';

/** What a step that has verified backups, or drilled with one, puts into its result: `{ verified: [ … ] }`. */
export interface RecordedVerdict {
  readonly repository: string;
  /** Absent: of every backup of the repository that was complete by then. */
  readonly label?: string;
  readonly sound: boolean;
}

/** What verifications and drills have found in a repository, whatever run they were part of. */
export function verdictsOf(runs: readonly StoredRun[], repository: RepositoryName): readonly Verdict[] {
  return runs.flatMap(({ entries }) => [
    ...entries.flatMap((entry) => (entry.kind === 'step-finished' ? verdictsIn(entry.result, repository, entry.at) : [])),
    ...verificationsIn(entries, repository),
  ]);
}

/** A verification of the whole repository speaks of what was there when it began. */
function verificationsIn(entries: StoredRun['entries'], repository: RepositoryName): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  let began: Instant | undefined;
  for (const entry of entries) {
    if (!('step' in entry) || entry.step !== `verify-repository:${repository}`) continue;
    if (entry.kind === 'step-started') began = entry.at;
    const at = began ?? entry.at;
    if (entry.kind === 'step-finished') verdicts.push({ repository, at, sound: true });
    if (entry.kind === 'step-failed' && entry.code === 'VERIFICATION_FAILED') verdicts.push(...damageIn(entry, repository, at));
  }
  return verdicts;
}

/** Where no backup is named it is the WAL that is damaged, and with it what any of them is recovered to. */
function damageIn(entry: object, repository: RepositoryName, at: Instant): readonly Verdict[] {
  const details: unknown = Reflect.get(entry, 'details');
  const labels: unknown = typeof details === 'object' && details !== null ? Reflect.get(details, 'damagedBackups') : undefined;
  if (!Array.isArray(labels) || labels.length === 0) return [{ repository, at, sound: false }];
  return labels.map((label) => ({ repository, label: label as BackupLabel, at, sound: false }));
}

function verdictsIn(result: unknown, repository: RepositoryName, at: Instant): readonly Verdict[] {
  const recorded: unknown = typeof result === 'object' && result !== null ? Reflect.get(result, 'verified') : undefined;
  if (!Array.isArray(recorded)) return [];
  return recorded
    .filter(isRecordedVerdict)
    .filter((verdict) => verdict.repository === repository)
    .map(({ label, sound }) => ({ repository, at, sound, ...(label === undefined ? {} : { label: label as BackupLabel }) }));
}

function isRecordedVerdict(value: unknown): value is RecordedVerdict {
  if (typeof value !== 'object' || value === null) return false;
  const label: unknown = Reflect.get(value, 'label');
  return (
    typeof Reflect.get(value, 'repository') === 'string' &&
    typeof Reflect.get(value, 'sound') === 'boolean' &&
    (label === undefined || typeof label === 'string')
  );
}
