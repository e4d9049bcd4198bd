import type { Candidate } from '../../domain/topology/failover-candidate.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import type { ChangePrimaryIntent } from '../../workflows/change-primary/intent.ts';
import type { LostWalReport } from '../../workflows/failover/lost.ts';

/** Who could be promoted, and why or why not, the best first. */
export function renderCandidates(candidates: readonly Candidate[]): string {
  const lines = candidates.map(({ node, refused, reasons }) =>
    refused.length > 0 ? `  ${node}: not, ${refused.join(', ')}` : `  ${node}: ${reasons.join('; ')}`,
  );
  return ['candidates', ...lines].join('\n');
}

/** What is given up, and where it still is. */
export function renderLostWal({ timeline, fromLsn, toLsn, bytes, isExact, held }: LostWalReport): string {
  const range = `${fromLsn} to ${toLsn} of timeline ${timeline}, ${formatBytes(BigInt(bytes))}`;
  if (bytes === 0)
    return isExact
      ? 'lost WAL   none: the old primary stopped there'
      : `lost WAL   none that is known of; the old primary may have written more after ${fromLsn}`;
  const repositories = held.map((one) => `${one.repository} has ${formatBytes(BigInt(one.bytes))} of it, up to ${one.untilLsn}`);
  return [
    `lost WAL   ${range}${isExact ? '' : ', and whatever nobody has seen'}`,
    ...(repositories.length === 0 ? ['  in no repository'] : repositories.map((line) => `  ${line}`)),
  ].join('\n');
}

/** What a change of the primary came to. */
export interface ChangeResult {
  readonly intent: ChangePrimaryIntent;
  readonly timeline: number | undefined;
  readonly outageSeconds: number | undefined;
  readonly failures: readonly { readonly step: string; readonly code: string; readonly message: string }[];
  readonly backup: { readonly run: string; readonly labels: readonly string[] } | undefined;
}

export function changeResultToJson({ intent, timeline, outageSeconds, failures, backup }: ChangeResult) {
  return {
    run: intent.run,
    primary: intent.to,
    timeline: timeline ?? null,
    writeOutageSeconds: outageSeconds ?? null,
    oldPrimary: intent.verb === 'switchover' ? intent.from.node : null,
    ...(intent.verb === 'failover' ? { lostWal: intent.lost } : {}),
    failures,
    backup: backup ?? null,
  };
}

export function renderChangeResult({ intent, timeline, outageSeconds, failures, backup }: ChangeResult): string {
  const outage = outageSeconds === undefined ? 'not measured' : formatDuration(outageSeconds);
  const since = intent.verb === 'failover' ? ' since the failover was begun' : '';
  return [
    `${intent.to} is the primary${timeline === undefined ? '' : ` on timeline ${timeline}`}`,
    `nobody could write for ${outage}${since}`,
    ...(intent.verb === 'failover' ? [renderLostWal(intent.lost)] : []),
    ...failures.map(({ step, message }) => `not done: ${step}: ${message}`),
    ...(backup === undefined ? [] : [`backup     ${backup.labels.join(', ')}`]),
  ].join('\n');
}
