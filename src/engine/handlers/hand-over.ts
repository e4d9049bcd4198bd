import { formatLsn, type Lsn } from '../../domain/postgres/lsn.ts';
import { SpokeError } from '../../errors.ts';
import type { HeldServer } from '../../plan/change-primary-steps.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { RecoveryState, ServerAddress } from '../../ports/postgres-server.ts';
import { instanceOf } from '../../workflows/hosts.ts';
import { requireHeld } from './change-primary-servers.ts';
import type { HandlerPorts } from './ports.ts';

const POLL_MS = 20;

/** A standby that takes over from a primary that was stopped. */
export interface HandOver {
  readonly node: string;
  readonly address: ServerAddress;
  readonly stopped: HeldServer;
  /** Of both. */
  readonly timeline: number;
}

/** Waits until the standby has replayed everything that the old primary has written. Throws REFUSED_PRECONDITION, PLAN_STALE, TIMED_OUT. */
export async function awaitReplay(ports: HandlerPorts, handOver: HandOver, context: OperationContext) {
  const checkpointLsn = await shutdownCheckpointOf(ports, handOver, context);
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  for (;;) {
    const replayedLsn = await replayedBy(ports, handOver, context);
    if (replayedLsn !== undefined && replayedLsn > checkpointLsn)
      return { shutdownCheckpointLsn: formatLsn(checkpointLsn), replayedLsn: formatLsn(replayedLsn) };
    if (ports.clock.monotonicMs() > deadlineMs) throw new SpokeError('TIMED_OUT', behind(handOver, replayedLsn, checkpointLsn));
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

/** The same once more, right before the promotion. Throws REFUSED_PRECONDITION, PLAN_STALE. */
export async function requireReplayed(ports: HandlerPorts, handOver: HandOver, context: OperationContext): Promise<void> {
  const checkpointLsn = await shutdownCheckpointOf(ports, handOver, context);
  const replayedLsn = await replayedBy(ports, handOver, context);
  if (replayedLsn !== undefined && replayedLsn > checkpointLsn) return;
  throw new SpokeError('REFUSED_PRECONDITION', `${behind(handOver, replayedLsn, checkpointLsn)}: nothing was promoted`, {
    hint: 'See: spoke-backup status; then: spoke-backup runs resume',
  });
}

/** The start of the last record of the old primary: pg_last_wal_replay_lsn() is the end of a record, so it lies beyond it where that was replayed. */
async function shutdownCheckpointOf(ports: HandlerPorts, { stopped, timeline }: HandOver, context: OperationContext): Promise<Lsn> {
  const found = await (await instanceOf(stopped.node, ports, context)).inspectDirectory(stopped.dataDirectory, context);
  requireHeld(found, stopped);
  const { state, checkpointLsn, timeline: last } = found.control;
  if (found.running === undefined && state === 'shut down' && last === timeline) return checkpointLsn;
  throw new SpokeError('REFUSED_PRECONDITION', `${stopped.node} was not shut down cleanly on timeline ${timeline} (${state}, ${last})`, {
    hint: 'Nothing was promoted. Start it, see why in its log, then: spoke-backup runs resume',
  });
}

async function replayedBy(
  ports: HandlerPorts,
  { node, address }: HandOver,
  context: OperationContext,
): Promise<RecoveryState['replayLsn']> {
  const { inRecovery, replayLsn } = await ports.postgres.observeRecovery(address, context);
  if (!inRecovery) throw new SpokeError('PLAN_STALE', `${node} is no longer in recovery`);
  return replayLsn;
}

function behind({ node, stopped }: HandOver, replayedLsn: Lsn | undefined, checkpointLsn: Lsn): string {
  const where = replayedLsn === undefined ? 'nowhere' : formatLsn(replayedLsn);
  return `${node} has replayed to ${where}, not the shutdown checkpoint of ${stopped.node} at ${formatLsn(checkpointLsn)}`;
}
