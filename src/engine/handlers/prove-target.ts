import { SpokeError } from '../../errors.ts';
import { describeTarget } from '../../domain/recovery/describe-target.ts';
import { readRecoveryLog, type RecoveryLog } from '../../domain/recovery/server-log.ts';
import { judgeRecovery } from '../../domain/recovery/judge-recovery.ts';
import { formatLsn, type Lsn, lsnOf, parseLsn } from '../../domain/postgres/lsn.ts';
import { parseTimelineHistory, timelineAt, timelineHistoryFileName } from '../../domain/postgres/timeline-history.ts';
import type { TimelineId } from '../../domain/postgres/timeline.ts';
import { formatInstantIso } from '../../domain/time/instant.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { RecoveryState, ServerAddress } from '../../ports/postgres-server.ts';
import type { StepOf } from '../../plan/step.ts';
import { type Proof, type Reached, readProof, sameBackup } from '../../workflows/restore/facts.ts';
import { connectIsolated, ifItAnswers } from './connect.ts';
import type { HandlerPorts } from './ports.ts';

const POLL_MS = 200;
const MOST_LOG_BYTES = 16 * 1024 * 1024;
const PROGRESS_LOG_BYTES = 64 * 1024;
const MOST_HISTORY_BYTES = 1024 * 1024;

/** Watches replay until PostgreSQL stops at the target, and writes down what PostgreSQL says. Throws why the target was not reached. */
export async function proveTarget(ports: HandlerPorts, step: StepOf<'prove-target'>, context: OperationContext) {
  const before = await provenBefore(ports, step, context);
  if (before !== undefined) return { ...before };
  // The server may have been started by a process of ours that is gone.
  await ports.engine.beginReplay({ repository: step.backup.repository, workDirectory: step.server.area.workDirectory }, context);
  const state = await replayed(ports, step, context);
  const log = readRecoveryLog(await readLog(ports, step));
  const least = step.leastLsn === undefined ? undefined : parseLsn(step.leastLsn);
  const verdict = judgeRecovery(step.target, { state, log, leastLsn: least });
  if (verdict.kind === 'failed')
    throw new SpokeError(verdict.code, `${verdict.message} ${ofBackup(step)}`, {
      details: { backup: step.backup, log: log.fatal ?? null },
    });
  const proof: Proof = {
    reached: { ...reachedOf(state, log), timeline: await replayedTimeline(ports, step, state, log) },
    evidence: verdict.evidence,
    backup: step.backup,
    dataIdentity: await dataIdentity(ports, step, context),
    provenAt: formatInstantIso(ports.clock.now()),
    walSegments: log.restoredSegments,
  };
  const { area, owner } = step.server;
  await ports.instanceControl.writeFileDurably(area.proofFile, `${JSON.stringify(proof)}\n`, owner, 0o600);
  return { ...proof };
}

/** What was proven of this very data, beside or in its place by now, by a run that died before it could say so. */
async function provenBefore(
  ports: HandlerPorts,
  { server, backup }: StepOf<'prove-target'>,
  context: OperationContext,
): Promise<Proof | undefined> {
  const proof = await readProof(server.area, ports);
  if (proof === undefined || !sameBackup(proof.backup, backup)) return undefined;
  const { identity } = await ports.instance.inspectDirectory(server.area.dataDirectory, context);
  return identity === undefined || identity === proof.dataIdentity ? proof : undefined;
}

async function replayed(ports: HandlerPorts, step: StepOf<'prove-target'>, context: OperationContext): Promise<RecoveryState> {
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  let address: ServerAddress | undefined;
  for (;;) {
    const seen = await askOrUndefined(ports, step, address, context);
    address = seen?.address;
    if (seen !== undefined && (seen.state.paused || !seen.state.inRecovery)) return seen.state;
    if (seen === undefined) await throwIfDead(ports, step, context);
    if (ports.clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `replay did not reach ${describeTarget(step.target)} in time`);
    await reportProgress(ports, step, seen?.state, context);
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

/** Once an address has answered, it is asked directly: looking at the data directory each time would take processor time from replay. */
async function askOrUndefined(
  ports: HandlerPorts,
  step: StepOf<'prove-target'>,
  address: ServerAddress | undefined,
  context: OperationContext,
): Promise<{ readonly address: ServerAddress; readonly state: RecoveryState } | undefined> {
  if (address === undefined) return ifItAnswers(connectIsolated(ports, step.server, context));
  const state = await ifItAnswers(ports.postgres.observeRecovery(address, { signal: context.signal }));
  return state === undefined ? undefined : { address, state };
}

async function throwIfDead(ports: HandlerPorts, step: StepOf<'prove-target'>, context: OperationContext): Promise<void> {
  const { running } = await ports.instance.inspectDirectory(step.server.area.dataDirectory, context);
  if (running !== undefined) return;
  const text = await readLog(ports, step);
  const verdict = judgeRecovery(step.target, { log: readRecoveryLog(text) });
  const message = verdict.kind === 'failed' ? verdict.message : 'the restored server ended while it replayed';
  throw new SpokeError(verdict.kind === 'failed' ? verdict.code : 'POSTGRES_FAILED', `${message} ${ofBackup(step)}`, {
    details: { backup: step.backup, serverLog: text.split('\n').slice(-15).join('\n') },
  });
}

/** Whether a server died of it that had begun to replay: the backup itself had been copied. */
export function wasMetInReplay({ details }: SpokeError): boolean {
  return details['serverLog'] !== undefined;
}

function ofBackup({ backup }: StepOf<'prove-target'>): string {
  return `(backup ${backup.label}, repository ${backup.repository})`;
}

async function reportProgress(
  ports: HandlerPorts,
  step: StepOf<'prove-target'>,
  state: RecoveryState | undefined,
  context: OperationContext,
): Promise<void> {
  if (context.onProgress === undefined) return;
  if (state?.replayLsn !== undefined) {
    const time = state.lastReplayedCommitTime;
    context.onProgress({
      phase: 'replay',
      position: `${formatLsn(state.replayLsn)}${time === undefined ? '' : `, ${formatInstantIso(time)}`} → ${describeTarget(step.target)}`,
    });
    return;
  }
  const tail = await ports.instance.readFileTail(step.server.area.logFile, PROGRESS_LOG_BYTES);
  const { lastRestoredSegment } = readRecoveryLog(tail);
  context.onProgress({ phase: 'replay to consistency', ...(lastRestoredSegment === undefined ? {} : { position: lastRestoredSegment }) });
}

function readLog(ports: HandlerPorts, step: StepOf<'prove-target'>): Promise<string> {
  return ports.instance.readFileTail(step.server.area.logFile, MOST_LOG_BYTES);
}

function reachedOf(state: RecoveryState, log: RecoveryLog): Omit<Reached, 'timeline'> {
  const time = state.lastReplayedCommitTime ?? log.lastCompletedTransactionTime;
  const lsn: Lsn | undefined = log.redoDoneLsn ?? state.replayLsn;
  return {
    time: time === undefined ? null : formatInstantIso(time),
    lsn: lsn === undefined ? '' : formatLsn(lsn),
    // "Stopping before commit of transaction N" names one that is not there.
    xid: log.stopped?.side === 'after' && log.stopped.xid !== undefined ? String(log.stopped.xid) : null,
  };
}

/**
 * The timeline of the last record that was replayed, by the history that was followed. The last segment that was fetched may
 * already be of the next one: PostgreSQL reads ahead.
 */
async function replayedTimeline(
  ports: HandlerPorts,
  step: StepOf<'prove-target'>,
  state: RecoveryState,
  log: RecoveryLog,
): Promise<TimelineId> {
  const lastByte = log.redoDoneLsn ?? (state.replayLsn === undefined ? undefined : lsnOf(state.replayLsn - 1n));
  const fetched = log.recoveredTimeline ?? state.timeline;
  // Segments that lay in pg_wal already were not fetched.
  const newest = fetched > state.timeline ? fetched : state.timeline;
  const path = `${step.server.area.dataDirectory}/pg_wal/${timelineHistoryFileName(newest)}`;
  const history = await ports.instance.readFileTail(path, MOST_HISTORY_BYTES);
  return history === '' || lastByte === undefined ? fetched : timelineAt(parseTimelineHistory(history, newest), lastByte);
}

async function dataIdentity(ports: HandlerPorts, step: StepOf<'prove-target'>, context: OperationContext): Promise<string> {
  const { identity } = await ports.instance.inspectDirectory(step.server.area.dataDirectory, context);
  if (identity === undefined) throw new SpokeError('PLAN_STALE', `${step.server.area.dataDirectory} is gone`);
  return identity;
}
