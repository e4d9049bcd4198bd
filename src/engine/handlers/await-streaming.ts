import { formatBytes } from '../../domain/bytes.ts';
import { lastReplicationTrouble } from '../../domain/health/replication-trouble.ts';
import { readRecoveryLog } from '../../domain/recovery/server-log.ts';
import { lagOf, type PrimaryPosition } from '../../domain/topology/lag.ts';
import { isSlotLost } from '../../domain/topology/slot-state.ts';
import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { instanceOf, orHostFault } from '../../workflows/hosts.ts';
import { primaryAddress } from './archiving.ts';
import { ifItAnswers } from './connect.ts';
import type { HandlerPorts } from './ports.ts';
import { restoredLogFile } from './swap.ts';

const POLL_MS = 500;
const LOG_TAIL_BYTES = 32 * 1024;
const DETAIL_BYTES = 4096;

/**
 * Both ends are asked; `patienceMs` counts from the last time that it came further. Throws POSTGRES_FAILED as soon as the server of the
 * standby has ended or the primary has lost its slot, and TIMED_OUT, with what the log says.
 */
export async function awaitStreaming(ports: HandlerPorts, step: StepOf<'await-streaming'>, context: OperationContext) {
  const startedMs = ports.clock.monotonicMs();
  let progressedMs = startedMs;
  let furthest = -1n;
  for (;;) {
    const state = await streamingState(ports, step, context);
    if (state.kind === 'streams') {
      const { timeline, lagBytes } = state;
      return { timeline, lagBytes: String(lagBytes), seconds: (ports.clock.monotonicMs() - startedMs) / 1000 };
    }
    if (state.replayedLsn !== undefined && state.replayedLsn > furthest) {
      furthest = state.replayedLsn;
      progressedMs = ports.clock.monotonicMs();
    }
    context.onProgress?.({ phase: state.why });
    if (!state.answers) await requireAlive(ports, step, context);
    if (ports.clock.monotonicMs() - progressedMs > step.patienceMs) throw await doesNotStream(ports, step, state.why, context);
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

async function doesNotStream(
  ports: HandlerPorts,
  step: StepOf<'await-streaming'>,
  why: string,
  context: OperationContext,
): Promise<SpokeError> {
  const { node, primary } = step;
  const { log = '' } = (await standbyProcess(ports, step, context)) ?? {};
  const trouble = lastReplicationTrouble(log);
  return new SpokeError('TIMED_OUT', `${node} does not stream from ${primary}: ${why}${trouble === undefined ? '' : `; ${trouble.line}`}`, {
    details: { node, primary, trouble: trouble?.kind ?? null },
    hint: `See why: spoke-backup doctor; the server log of ${node} says why it cannot connect. Then: spoke-backup runs resume`,
  });
}

/** One that has ended does not come back by waiting. A host that cannot be looked at tells nothing. */
async function requireAlive(ports: HandlerPorts, step: StepOf<'await-streaming'>, context: OperationContext): Promise<void> {
  const found = await standbyProcess(ports, step, context);
  if (found === undefined || found.isRunning) return;
  const { node, dataDirectory } = step;
  const fatal = readRecoveryLog(found.log).fatal ?? 'its log does not say why';
  throw new SpokeError('POSTGRES_FAILED', `the server of ${node} ended before it streamed: ${fatal}`, {
    details: { node, dataDirectory, serverLog: found.log.slice(-DETAIL_BYTES) },
    hint: `Put right what its log says (${restoredLogFile(dataDirectory)}), then: spoke-backup runs resume`,
  });
}

/** Whether a server runs there, and the end of its log: the one that its collector writes, or the one that it was started with. */
async function standbyProcess(ports: HandlerPorts, { node, dataDirectory }: StepOf<'await-streaming'>, { signal }: OperationContext) {
  const asking = async () => {
    const instance = await instanceOf(node, ports, { signal });
    const { running } = await instance.inspectDirectory(dataDirectory, { signal });
    const server = { dataDirectory, ...(running?.pid === undefined ? {} : { pid: running.pid }) };
    const collected = await instance.readServerLog(server, LOG_TAIL_BYTES);
    const log = collected === '' ? await instance.readFileTail(restoredLogFile(dataDirectory), LOG_TAIL_BYTES) : collected;
    return { isRunning: running !== undefined, log };
  };
  const answer = await orHostFault(asking());
  return 'found' in answer ? answer.found : undefined;
}

type StreamingState =
  | { readonly kind: 'streams'; readonly timeline: number; readonly lagBytes: bigint }
  | { readonly kind: 'not yet'; readonly why: string; readonly answers: boolean; readonly replayedLsn?: bigint };

async function streamingState(
  ports: HandlerPorts,
  { node, primary, slot, systemIdentifier, maxLagBytes }: StepOf<'await-streaming'>,
  { signal }: OperationContext,
): Promise<StreamingState> {
  const notYet = (why: string, replayedLsn?: bigint): StreamingState => ({
    kind: 'not yet',
    why,
    answers: true,
    ...(replayedLsn === undefined ? {} : { replayedLsn }),
  });
  const source = await primaryAddress(ports, primary, { signal });
  const server = await ports.postgres.observeServer(source, { signal });
  const sending = await ports.postgres.observeReplication(source, { signal });
  const found = sending.slots.find(({ name }) => name === slot);
  if (found === undefined || isSlotLost(found)) throw lostSlot(primary, slot);
  const address = await ports.access.addressOf(node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node} has no url in the configuration`);
  const own = await ifItAnswers(ports.postgres.observeServer(address, { signal }));
  const receiving = await ifItAnswers(ports.postgres.observeReplication(address, { signal }));
  if (own === undefined || receiving === undefined) return { kind: 'not yet', why: 'it does not answer yet', answers: false };
  requireStandbyOf(node, own, systemIdentifier);
  const { replayedLsn, receiver } = receiving;
  if (receiver === undefined) return notYet('it has no WAL receiver', replayedLsn);
  if (receiver.status !== undefined && receiver.status !== 'streaming')
    return notYet(`its WAL receiver is ${receiver.status}`, replayedLsn);
  if (!found.active) return notYet(`nobody uses the slot ${slot} on ${primary}`, replayedLsn);
  const timeline = receiver.timeline ?? own.timeline;
  if (timeline !== server.timeline) return notYet(`it is on timeline ${timeline}, ${primary} on ${server.timeline}`, replayedLsn);
  const position: PrimaryPosition | undefined =
    sending.flushLsn === undefined ? undefined : { at: sending.serverTime, lsn: sending.flushLsn };
  const lag = position === undefined ? undefined : lagOf(position, receiving);
  if (lag === undefined) return notYet('it does not tell how far it is', replayedLsn);
  if (lag.bytes > BigInt(maxLagBytes)) return notYet(`${formatBytes(lag.bytes)} are left to replay`, replayedLsn);
  return { kind: 'streams', timeline, lagBytes: lag.bytes };
}

/** The primary gave it up meanwhile (max_slot_wal_keep_size), or somebody dropped it: nothing streams by it any more. */
function lostSlot(primary: string, slot: string): SpokeError {
  return new SpokeError('POSTGRES_FAILED', `${primary} has lost the slot ${slot} while the standby was seeded`, {
    details: { primary, slot },
    hint: 'Resuming makes it afresh. WAL must be kept for that long: see max_slot_wal_keep_size on the primary. Then: spoke-backup runs resume',
  });
}

function requireStandbyOf(
  node: string,
  { systemIdentifier: found, inRecovery }: { readonly systemIdentifier: bigint | string; readonly inRecovery: boolean },
  systemIdentifier: string,
): void {
  if (String(found) !== systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `the url of ${node} is answered by another cluster (system identifier ${found})`);
  if (!inRecovery)
    throw new SpokeError('REFUSED_PRECONDITION', `${node} is no standby but accepts writes`, {
      hint: 'Stop it, then: spoke-backup status',
    });
}
