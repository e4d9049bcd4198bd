import type { RetentionPlan, WalDecision } from '../../domain/retention/policy.ts';
import { untilToText } from '../../domain/retention/pin.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { formatInstantIso, formatInstantUtc } from '../../domain/time/instant.ts';
import type { BucketFacts } from '../../workflows/expire/bucket.ts';
import type { ExpireFacts, RepositoryExpiry } from '../../workflows/expire/facts.ts';
import type { RunId } from '../../ports/run-store.ts';
import { renderTable } from './table.ts';

/** What a run of expiry came to. */
export interface ExpiryResult {
  readonly run: RunId;
  readonly expired: readonly { readonly repository: string; readonly label: string; readonly dependents: readonly string[] }[];
  /** Repositories from which WAL was removed. */
  readonly wal: readonly string[];
  /** What the store did not let go. */
  readonly skipped: readonly { readonly repository: string; readonly what: string; readonly reason: string }[];
  readonly findings: readonly string[];
}

/** Every backup and every run of WAL with what becomes of it and why. */
export function renderExplanation(plans: readonly RetentionPlan[], facts: ExpireFacts): string {
  const backups = plans.flatMap((plan) =>
    plan.backups.map(({ backup, decision, reason }) => [
      plan.repository,
      backup.label,
      backup.type,
      formatInstantUtc(backup.stopTime, { fraction: 'none' }),
      decision,
      reason,
    ]),
  );
  const wal = plans.flatMap((plan) =>
    plan.wal.map((one) => {
      const { first, last, segments } = walNames(one, plan, facts);
      return [plan.repository, String(one.timeline), first, last, segments, one.decision, one.reason];
    }),
  );
  return [
    backups.length === 0 ? 'no backups' : renderTable(['REPO', 'LABEL', 'TYPE', 'FINISHED', 'DECISION', 'REASON'], backups),
    ...(facts.repositories.some(({ bucket }) => bucket !== undefined) ? ['', ...facts.repositories.flatMap(bucketLine)] : []),
    ...(wal.length === 0 ? [] : ['', renderTable(['REPO', 'TIMELINE', 'FROM', 'TO', 'SEGMENTS', 'DECISION', 'REASON'], wal)]),
  ].join('\n');
}

function bucketToJson(bucket: BucketFacts) {
  if ('unknown' in bucket) return bucket;
  const { orphanedUploads, retained } = bucket;
  return {
    orphanedUploads: orphanedUploads.map(({ key, uploadId, initiatedAt }) => ({
      key,
      uploadId,
      initiatedAt: formatInstantIso(initiatedAt),
    })),
    retained: { ...retained, noncurrentBytes: Number(retained.noncurrentBytes) },
  };
}

function bucketLine({ bucket, facts: { snapshot } }: RepositoryExpiry): readonly string[] {
  if (bucket === undefined) return [];
  const where = `bucket of ${snapshot.repository}:`;
  if ('unknown' in bucket) return [`${where} what it keeps beside the repository is not known: ${bucket.unknown}`];
  const { noncurrentVersions, noncurrentBytes, deleteMarkers } = bucket.retained;
  return [
    `${where} ${formatBytes(noncurrentBytes)} in ${noncurrentVersions} versions that were overwritten or deleted, ${deleteMarkers} delete markers, ` +
      `${bucket.orphanedUploads.length} uploads that were never completed`,
  ];
}

function walNames({ timeline, firstSegment, lastSegment }: WalDecision, { repository }: RetentionPlan, { repositories }: ExpireFacts) {
  const archive = repositories.find(({ facts }) => facts.snapshot.repository === repository)?.facts.snapshot.walArchive;
  const name = (segment: bigint) => (archive === undefined ? String(segment) : walSegmentName(timeline, segment, archive.segmentSizeBytes));
  return { first: name(firstSegment), last: name(lastSegment), segments: String(lastSegment - firstSegment + 1n) };
}

/** The decisions on one repository as JSON. */
export function retentionToJson(plan: RetentionPlan, facts: ExpireFacts) {
  const found = facts.repositories.find(({ facts: { snapshot } }) => snapshot.repository === plan.repository);
  return {
    name: plan.repository,
    policy: found?.policy ?? null,
    backups: plan.backups.map(({ backup, decision, rule, reason }) => ({
      label: backup.label,
      type: backup.type,
      stopTime: formatInstantIso(backup.stopTime),
      decision,
      rule,
      reason,
    })),
    wal: plan.wal.map((one) => {
      const { first, last, segments } = walNames(one, plan, facts);
      return {
        timeline: one.timeline,
        first,
        last,
        segments: Number(segments),
        decision: one.decision,
        rule: one.rule,
        reason: one.reason,
      };
    }),
    walFloor: plan.walFloor ?? null,
    pins: (found?.facts.pins ?? []).map(({ label, until, reason }) => ({ label, until: untilToText(until), reason })),
    bucket: found?.bucket === undefined ? null : bucketToJson(found.bucket),
    holds: plan.holds,
    differences: plan.differences,
  };
}

export function renderExpiry({ expired, wal, findings }: ExpiryResult): string {
  const lines = expired.map(({ repository, label, dependents }) => `${repository}: expired ${[label, ...dependents].join(', ')}`);
  const all = [...lines, ...wal.map((repository) => `${repository}: removed the WAL that no backup needs any more`)];
  return [...(all.length === 0 ? ['nothing was expired'] : all), ...findings.map((finding) => `finding: ${finding}`)].join('\n');
}
