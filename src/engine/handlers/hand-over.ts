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
  const last = await lastOf(ports, handOver, context);
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  for (;;) {
    const replayedLsn = await replayedBy(ports, handOver, context);
    if (replayedLsn !== undefined && hasReplayed(last, replayedLsn))
      return { last: `${last.what} ${formatLsn(last.lsn)}`, replayedLsn: formatLsn(replayedLsn) };
    if (ports.clock.monotonicMs() > deadlineMs) throw new SpokeError('TIMED_OUT', behind(handOver, replayedLsn, last));
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

/** The same once more, right before the promotion. Throws REFUSED_PRECONDITION, PLAN_STALE. */
export async function requireReplayed(ports: HandlerPorts, handOver: HandOver, context: OperationContext): Promise<void> {
  const last = await lastOf(ports, handOver, context);
  const replayedLsn = await replayedBy(ports, handOver, context);
  if (replayedLsn !== undefined && hasReplayed(last, replayedLsn)) return;
  throw new SpokeError('REFUSED_PRECONDITION', `${behind(handOver, replayedLsn, last)}: nothing was promoted`, {
    hint: 'See: spoke-backup status; then: spoke-backup runs resume',
  });
}

/** The last that the old primary has written. */
interface LastWal {
  readonly what: 'shutdown checkpoint' | 'end of the WAL';
  readonly lsn: Lsn;
}

/** What was started again as a standby has the shutdown checkpoint behind it, and perhaps more; its files tell. */
async function lastOf(ports: HandlerPorts, { stopped, timeline }: HandOver, context: OperationContext): Promise<LastWal> {
  const instance = await instanceOf(stopped.node, ports, context);
  const found = await instance.inspectDirectory(stopped.dataDirectory, context);
  requireHeld(found, stopped);
  const { state, checkpointLsn, timeline: ended } = found.control;
  if (found.running === undefined && ended === timeline) {
    if (state === 'shut down') return { what: 'shutdown checkpoint', lsn: checkpointLsn };
    const end = state === 'shut down in recovery' ? await instance.readWalEnd(stopped.dataDirectory) : undefined;
    if (end?.timeline === timeline) return { what: 'end of the WAL', lsn: end.lsn };
  }
  throw new SpokeError('REFUSED_PRECONDITION', `${stopped.node} was not shut down cleanly on timeline ${timeline} (${state}, ${ended})`, {
    hint: 'Nothing was promoted. Start it, see why in its log, then: spoke-backup runs resume',
  });
}

/** pg_last_wal_replay_lsn() is the end of a record: beyond the start of the checkpoint where that was replayed. */
function hasReplayed({ what, lsn }: LastWal, replayedLsn: Lsn): boolean {
  return what === 'shutdown checkpoint' ? replayedLsn > lsn : replayedLsn >= lsn;
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

function behind({ node, stopped }: HandOver, replayedLsn: Lsn | undefined, { what, lsn }: LastWal): string {
  const where = replayedLsn === undefined ? 'nowhere' : formatLsn(replayedLsn);
  return `${node} has replayed to ${where}, not the ${what} of ${stopped.node} at ${formatLsn(lsn)}`;
}
