import { formatBytes } from '../../domain/bytes.ts';
import { describeTarget } from '../../domain/recovery/describe-target.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import {
  formatAge,
  formatInstantIso,
  formatInstantLocal,
  formatInstantUtc,
  type Instant,
  instantOfMicros,
  parsePostgresTimestamp,
  secondsBetween,
} from '../../domain/time/instant.ts';
import type { StepHandlers } from '../../engine/step-handler.ts';
import type { Plan } from '../../plan/step.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { Proof } from '../../workflows/restore/facts.ts';
import { type PinnedTail, type RestoreIntent, targetFromJson } from '../../workflows/restore/intent.ts';
import { renderPlan } from './plan.ts';

/** What a restore came to, as --json prints it. */
export interface RestoreResult {
  readonly run: string;
  readonly cluster: string;
  readonly backup: { readonly label: string; readonly repository: string; readonly type: string };
  readonly target: Readonly<Record<string, unknown>>;
  readonly reached: Proof['reached'];
  readonly evidence: string;
  /** Of the server after promotion; the one replayed where it stays paused. */
  readonly timeline: number;
  readonly durations: { readonly copySeconds: number; readonly replaySeconds: number; readonly totalSeconds: number };
  readonly walSegments: number;
  readonly dataDirectory: string;
  readonly oldDataDirectory: string | null;
  readonly socketDirectory: string;
  readonly port: number;
  readonly started: boolean;
  readonly warnings: readonly string[];
}

/** The intent for --json. */
export function intentToJson(intent: RestoreIntent) {
  const [first] = intent.candidates;
  return {
    cluster: intent.cluster,
    backup: first === undefined ? null : { label: first.label, repository: first.repository, type: first.type },
    target: targetToShow(intent),
    walSegments: first?.walSegments ?? 0,
    walBytes: Number(first?.walBytes ?? 0),
    databaseBytes: Number(first?.databaseBytes ?? 0),
    estimatedSeconds: first?.estimatedSeconds ?? 0,
    tail: tailToShow(first?.tail),
    dataDirectory: intent.dataDirectory,
    oldDataDirectory: intent.oldDataDirectory,
    alternatives: intent.candidates.slice(1).map(({ label, repository, type }) => ({ label, repository, type })),
  };
}

function tailLine(tail: PinnedTail | null | undefined): readonly string[] {
  if (tail === null || tail === undefined) return [];
  const at = formatInstantUtc(instantOfMicros(BigInt(tail.atMicros)), { fraction: 'none' });
  return [`  streamed   uses the streamed tail up to LSN ${tail.toLsn}, ${at}; the archive ends at ${tail.fromLsn}`];
}

function tailToShow(tail: PinnedTail | null | undefined) {
  if (tail === null || tail === undefined) return null;
  const { segments, fromLsn, toLsn, atMicros } = tail;
  return { segments, fromLsn, toLsn, at: formatInstantIso(instantOfMicros(BigInt(atMicros))) };
}

function targetToShow(intent: RestoreIntent): Record<string, unknown> {
  const target = targetFromJson(intent.target);
  switch (target.kind) {
    case 'time':
      return { kind: 'time', time: formatInstantIso(target.time), inclusive: target.inclusive };
    case 'lsn':
    case 'xid':
    case 'name':
    case 'immediate':
    case 'latest':
      return { ...intent.target };
  }
}

/** The plan for people: what, from where, how long, over what; then every step. */
export function renderRestorePlan(
  intent: RestoreIntent,
  plan: Plan,
  handlers: StepHandlers,
  at: { now: Instant; timezone: string | undefined; full: boolean },
): string {
  const [first, ...others] = intent.candidates;
  const target = targetFromJson(intent.target);
  const local =
    target.kind !== 'time'
      ? ''
      : ` (${at.timezone === undefined ? '' : `${formatInstantLocal(target.time, at.timezone)}, `}${formatAge(target.time, at.now)})`;
  const lines = [
    `restore ${intent.cluster} to ${describeTarget(target)}${local}`,
    `  backup     ${first?.label ?? '?'} (${first?.type ?? '?'}) from repository ${first?.repository ?? '?'}, ${formatBytes(BigInt(first?.databaseBytes ?? 0))}`,
    `  replay     about ${first?.walSegments ?? 0} WAL segments, ${formatBytes(BigInt(first?.walBytes ?? 0))}`,
    ...tailLine(first?.tail),
    `  estimated  ${formatDuration(first?.estimatedSeconds ?? 0)} (at assumed rates: nothing has been measured here yet)`,
    `  into       ${intent.dataDirectory}${intent.oldDataDirectory === null ? '' : `; what is there now is kept as ${intent.oldDataDirectory}`}`,
    ...(others.length === 0
      ? []
      : [
          `  otherwise  ${others
            .slice(0, 3)
            .map((one) => `${one.label} from ${one.repository}`)
            .join(', ')}`,
        ]),
    '',
  ];
  return `${lines.join('\n')}\n${renderPlan(plan, handlers, at)}`;
}

/** Puts the result together from the journal, and from the restored directory what a run that was interrupted may not have written there. */
export function restoreResult(intent: RestoreIntent, run: StoredRun, restored: Pick<DirectoryFacts, 'control'>): RestoreResult {
  const finished = new Map(run.entries.flatMap((entry) => (entry.kind === 'step-finished' ? [[entry.step, entry] as const] : [])));
  const seconds = (...steps: string[]) => round(steps.reduce((sum, step) => sum + (finished.get(step)?.seconds ?? 0), 0));
  const proof = finished.get('prove-target')?.result as Proof;
  const used = intent.candidates.find((one) => one.label === proof.backup.label && one.repository === proof.backup.repository);
  const last = run.entries.at(-1)?.at ?? run.header.startedAt;
  return {
    run: run.header.runId,
    cluster: intent.cluster,
    backup: { label: proof.backup.label, repository: proof.backup.repository, type: used?.type ?? 'full' },
    target: targetToShow(intent),
    reached: proof.reached,
    evidence: proof.evidence,
    timeline: intent.targetAction === 'pause' ? proof.reached.timeline : (restored.control?.timeline ?? proof.reached.timeline),
    durations: {
      copySeconds: seconds('copy-backup'),
      replaySeconds: seconds('start-isolated', 'prove-target'),
      totalSeconds: round(secondsBetween(run.header.startedAt, last)),
    },
    walSegments: proof.walSegments,
    dataDirectory: intent.dataDirectory,
    oldDataDirectory: intent.discardOld ? null : intent.oldDataDirectory,
    socketDirectory: intent.socketDirectory,
    port: intent.port,
    started: intent.start,
    warnings: intent.warnings,
  };
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/** The result for people, with what to do next. */
export function renderRestoreResult(result: RestoreResult, timezone: string | undefined): string {
  const { reached, durations } = result;
  const instant = reached.time === null ? undefined : parsePostgresTimestamp(reached.time.replace('T', ' ').replace('Z', '+00'));
  const time =
    instant === undefined
      ? 'no commit was replayed'
      : `last commit ${formatInstantUtc(instant)}${timezone === undefined ? '' : ` (${formatInstantLocal(instant, timezone)})`}`;
  return [
    `restored ${result.cluster} from ${result.backup.label} (${result.backup.type}, repository ${result.backup.repository})`,
    `  reached    ${time}, LSN ${reached.lsn}, timeline ${reached.timeline} → ${result.timeline}`,
    `  proof      ${result.evidence}`,
    `  took       ${formatDuration(durations.totalSeconds)} (copy ${formatDuration(durations.copySeconds)}, replay of ${result.walSegments} segments ${formatDuration(durations.replaySeconds)})`,
    `  data       ${result.dataDirectory}`,
    ...(result.oldDataDirectory === null ? [] : [`  before     ${result.oldDataDirectory} (remove it when you no longer need it)`]),
    ...(result.started ? [`  connect    psql -h ${result.socketDirectory} -p ${result.port}`] : []),
    ...result.warnings.map((warning) => `  note       ${warning}`),
  ].join('\n');
}
