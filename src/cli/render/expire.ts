import type { RetentionPlan, WalDecision } from '../../domain/retention/policy.ts';
import { untilToText } from '../../domain/retention/pin.ts';
import { walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { formatInstantIso, formatInstantUtc } from '../../domain/time/instant.ts';
import type { ExpireFacts } from '../../workflows/expire/facts.ts';
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
    ...(wal.length === 0 ? [] : ['', renderTable(['REPO', 'TIMELINE', 'FROM', 'TO', 'SEGMENTS', 'DECISION', 'REASON'], wal)]),
  ].join('\n');
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
    holds: plan.holds,
    differences: plan.differences,
  };
}

export function renderExpiry({ expired, wal, findings }: ExpiryResult): string {
  const lines = expired.map(({ repository, label, dependents }) => `${repository}: expired ${[label, ...dependents].join(', ')}`);
  const all = [...lines, ...wal.map((repository) => `${repository}: removed the WAL that no backup needs any more`)];
  return [...(all.length === 0 ? ['nothing was expired'] : all), ...findings.map((finding) => `finding: ${finding}`)].join('\n');
}
