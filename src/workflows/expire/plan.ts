import type { BackupLabel } from '../../domain/catalog/base-backup.ts';
import type { BackupDecision, RetentionPlan } from '../../domain/retention/policy.ts';
import { planRetention } from '../../domain/retention/plan-retention.ts';
import { neededBy } from '../../domain/retention/soundness.ts';
import { formatInstantUtc } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step, StepBase } from '../../plan/step.ts';
import type { ExpireFacts, ExpireIntent, RepositoryExpiry } from './facts.ts';

const EXPIRE_TIMEOUT_MS = 24 * 60 * 60_000;

/** What is kept and what goes in each repository that could be read. Pure. */
export function explainExpire({ repositories }: ExpireFacts): readonly RetentionPlan[] {
  return repositories.map(({ policy, facts }) => planRetention(policy, facts));
}

/** Backups first, the oldest first, each with what depends on it; then WAL. Pure. Throws where no repository could be read. */
export function planExpire(intent: ExpireIntent, facts: ExpireFacts): Plan {
  const [unreadable] = facts.unreadable;
  if (facts.repositories.length === 0 && unreadable !== undefined)
    throw new SpokeError(
      unreadable.errorCode === 'REPOSITORY_DENIED' ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE',
      `no repository can be read: ${facts.unreadable.map((one) => `${one.repository}: ${one.message}`).join('; ')}`,
    );
  const plans = explainExpire(facts);
  return {
    steps: plans.flatMap((plan, index) => stepsOf(intent, plan, facts.repositories[index])),
    warnings: [
      ...plans.flatMap(warningsOf),
      ...facts.unreadable.map((one) => `repository ${one.repository} could not be read: ${one.message}`),
    ],
  };
}

/** What somebody should look at: exit code 3. */
export function findingsOf(plans: readonly RetentionPlan[]): readonly string[] {
  return plans.flatMap(warningsOf);
}

/** Whether typing the name of the cluster would let go of something. */
export function isConfirmable(plans: readonly RetentionPlan[]): boolean {
  return plans.some(({ holds }) => holds.length > 0 && holds.every(({ confirmable }) => confirmable));
}

function warningsOf({ repository, holds, differences }: RetentionPlan): readonly string[] {
  return [
    ...holds.map(({ reason }) => `repository ${repository}: nothing expires: ${reason}`),
    ...differences.map((one) => `repository ${repository}: ${one}`),
  ];
}

function stepsOf({ cluster }: ExpireIntent, plan: RetentionPlan, expiry: RepositoryExpiry | undefined): readonly Step[] {
  const going = plan.backups.filter(({ decision }) => decision === 'expire');
  const takesWal = plan.wal.some(({ decision }) => decision === 'expire');
  return [
    ...groupsOf(going).map((group) => backupStep(cluster, group)),
    ...(plan.walFloor !== undefined && (takesWal || expiry?.hasLeftovers === true) ? [walStep(plan, plan.walFloor, takesWal)] : []),
    ...uploadsSteps(plan, expiry),
  ];
}

interface Group {
  readonly top: BackupDecision;
  readonly dependents: readonly BackupLabel[];
}

/** A backup that goes and needs none that goes, with all that goes and needs it. */
function groupsOf(going: readonly BackupDecision[]): readonly Group[] {
  const topOf = new Map<BackupLabel, BackupLabel>();
  const groups = new Map<BackupLabel, { readonly top: BackupDecision; readonly dependents: BackupLabel[] }>();
  for (const one of going) {
    const { label } = one.backup;
    const above = neededBy(one.backup)
      .map((needed) => topOf.get(needed))
      .find((top) => top !== undefined);
    topOf.set(label, above ?? label);
    if (above === undefined) groups.set(label, { top: one, dependents: [] });
    else groups.get(above)?.dependents.push(label);
  }
  return [...groups.values()];
}

function backupStep(cluster: string, { top, dependents }: Group): Step {
  const { label, repository, type, stopTime } = top.backup;
  const at = formatInstantUtc(stopTime, { fraction: 'none' });
  const rest = dependents.length === 0 ? '' : ` with ${dependents.length} that ${dependents.length === 1 ? 'depends' : 'depend'} on it`;
  return {
    ...expiring(
      `expire-backup:${repository}:${label}`,
      `Expire ${type} backup ${label} of ${at}${rest} in repository ${repository}`,
      top.reason,
    ),
    kind: 'expire-backup',
    probe: `the catalogue of repository ${repository} does not name ${label}`,
    cluster,
    repository,
    label,
    dependents,
  };
}

function walStep({ repository, wal }: RetentionPlan, floor: BackupLabel, takesWal: boolean): Step {
  const count = wal.reduce((sum, one) => (one.decision === 'expire' ? sum + one.lastSegment - one.firstSegment + 1n : sum), 0n);
  const title = takesWal
    ? `Remove ${count} WAL segments before ${floor} from repository ${repository}`
    : `Remove from repository ${repository} what an interrupted expiry has left`;
  return {
    ...expiring(`expire-wal:${repository}`, title, takesWal ? 'no backup that is kept needs them' : 'the catalogue names none of it'),
    kind: 'expire-wal',
    probe: `the archive of repository ${repository} holds no segment that the plan expires`,
    repository,
    floor,
  };
}

/** Begun by a process that is long gone: seen by nobody, and paid for. */
function uploadsSteps({ repository }: RetentionPlan, expiry: RepositoryExpiry | undefined): readonly Step[] {
  const bucket = expiry?.bucket;
  if (bucket === undefined || 'unknown' in bucket || bucket.orphanedUploads.length === 0) return [];
  const uploads = bucket.orphanedUploads;
  const title = `Abort ${uploads.length} uploads into repository ${repository} that were never completed`;
  const base = expiring(`abort-uploads:${repository}`, title, 'each was begun more than 7 days ago');
  return [{ ...base, kind: 'abort-uploads', probe: 'the bucket lists no such upload', repository, uploads }];
}

/** What one repository does not let go keeps the others from nothing. */
function expiring(id: string, title: string, reason: string): Omit<StepBase, 'probe'> {
  return { id, effect: 'destructive', title, reason, timeoutMs: EXPIRE_TIMEOUT_MS, retry: 'transient', onFailure: 'continue' };
}
