import type { Finding } from '../config/check.ts';
import type { S3RepositoryConfig } from '../config/model.ts';
import type { BucketTrial, LockTrial } from '../ports/object-store.ts';

/** What is worth knowing of a part of the configuration, and nothing to be done about. */
export interface Note {
  /** Where, as in a finding. */
  readonly path: string;
  readonly message: string;
}

export interface Checked {
  readonly findings: readonly Finding[];
  readonly notes: readonly Note[];
}

/** From when on instants of both are not to be compared; requests are refused from a quarter of an hour on. */
const CLOCKS_DIFFER_SECONDS = 60;

/** What the trial of a bucket says of the repository in it. */
export function judgeTrial({ retention, ...repository }: S3RepositoryConfig, path: string, trial: BucketTrial): Checked {
  const lock = judgeLock(trial.lock, retention.days, path);
  const clock = judgeClock(trial.clockAheadSeconds, path);
  const conditions =
    trial.conditionalWrites.kind === 'etag'
      ? 'conditional writes work'
      : trial.conditionalWrites.kind === 'create'
        ? `conditional writes work for new objects only (${trial.conditionalWrites.reason})`
        : `no conditional writes (${trial.conditionalWrites.reason}): it cannot hold the leases of multiHost`;
  const written = `an upload in parts works with checksums: ${repository.checksums}; ${conditions}`;
  const findings = [...clock, ...judgeEncryption(repository.serverSideEncryption, trial.encryptedBy, path), ...lock.findings];
  return { findings, notes: [{ path, message: written }, ...lock.notes] };
}

/** There are services that take the request for it and do nothing. */
function judgeEncryption(asked: S3RepositoryConfig['serverSideEncryption'], by: string | undefined, path: string): Finding[] {
  if (asked === undefined || asked.type === by) return [];
  const message = `the service was asked to encrypt an object with ${asked.type}, and says that it has encrypted it with ${by ?? 'nothing'}`;
  const hint = 'Look what it supports. What must not be read there is encrypted before it is sent: encryption, or encryptionPassphrase.';
  return [{ severity: 'warning', path: `${path}.serverSideEncryption`, message, hint }];
}

function judgeClock(aheadSeconds: number | undefined, path: string): Finding[] {
  if (aheadSeconds === undefined || Math.abs(aheadSeconds) < CLOCKS_DIFFER_SECONDS) return [];
  const side = aheadSeconds > 0 ? 'ahead of' : 'behind';
  const message = `this machine's clock is ${Math.round(Math.abs(aheadSeconds))} s ${side} that of the object store`;
  return [{ severity: 'warning', path, message, hint: 'Set whichever is wrong right: timedatectl' }];
}

function judgeLock(lock: LockTrial, windowDays: number, path: string): Checked {
  if (lock.kind === 'none')
    return { findings: [], notes: [{ path, message: 'nothing is locked: whoever has these keys can destroy every backup in it' }] };
  if (lock.kind === 'refused')
    return { findings: [], notes: [{ path, message: 'these keys cannot destroy what they wrote, but nothing was seen that locks it' }] };
  const message = `what is written is locked for ${lock.days} days (${lock.mode}): it could not be destroyed with these keys`;
  const findings = [
    ...(lock.days < windowDays ? [tooShort(lock.days, windowDays, path)] : []),
    ...(lock.canBypass ? [bypassed(path)] : []),
  ];
  return { findings, notes: lock.canBypass ? [] : [{ path, message }] };
}

function tooShort(lockDays: number, windowDays: number, path: string): Finding {
  const message = `objects are locked for ${lockDays} days, the recovery window is ${windowDays}: the oldest backups in it can be destroyed`;
  const hint = `Set the default retention of the bucket to ${windowDays} days and the time between two full backups.`;
  return { severity: 'warning', path: `${path}.retention.days`, message, hint };
}

function bypassed(path: string): Finding {
  const message = 'the lock of the bucket (governance) could be bypassed with these keys, and what was locked be destroyed';
  return {
    severity: 'warning',
    path,
    message,
    hint: 'Take s3:BypassGovernanceRetention from these keys, or lock in mode compliance.',
  };
}
