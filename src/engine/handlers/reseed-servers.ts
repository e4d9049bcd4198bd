import { formatBytes } from '../../domain/bytes.ts';
import { lagOf, type PrimaryPosition } from '../../domain/topology/lag.ts';
import { isSlotOfUse } from '../../domain/topology/slot-state.ts';
import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { primaryAddress } from './archiving.ts';
import { confirmStandby } from './confirm-standby.ts';
import { ifItAnswers, installationOf } from './connect.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const POLL_MS = 500;

/** The servers of a reseed: the standby stopped, its slot, and that it streams at the end. */
export function reseedServerHandlers(ports: HandlerPorts): HandlersOf<'stop-standby' | 'renew-slot' | 'await-streaming'> {
  return {
    'stop-standby': {
      preview: ({ standby, service }) => [
        {
          argv:
            service.manager === 'pg_ctl'
              ? ['pg_ctl', 'stop', '-D', standby.dataDirectory, '-m', 'fast']
              : service.manager === 'systemd'
                ? ['systemctl', 'stop', service.unit]
                : ['pg_ctlcluster', service.version, service.clusterName, 'stop'],
        },
      ],
      run: (step, context) => stopStandby(ports, step, context),
    },
    'renew-slot': {
      preview: ({ node, slot }) => [
        { argv: [`(${node})`, `SELECT pg_drop_replication_slot('${slot}') -- where it is lost or invalid`] },
        { argv: [`(${node})`, `SELECT pg_create_physical_replication_slot('${slot}', true) -- where it is missing`] },
      ],
      run: (step, context) => renewSlot(ports, step, context),
    },
    'await-streaming': {
      preview: ({ node, primary }) => [
        { argv: [`(${node})`, 'SELECT * FROM pg_stat_wal_receiver'] },
        { argv: [`(${primary})`, 'SELECT active FROM pg_replication_slots'] },
      ],
      run: (step, context) => awaitStreaming(ports, step, context),
    },
  };
}

async function stopStandby(ports: HandlerPorts, step: StepOf<'stop-standby'>, context: OperationContext) {
  const { standby, service, owner, postgresMajor } = step;
  const found = await confirmStandby(ports, standby, context);
  if (found.running === undefined) return { stopped: false };
  if (service.manager !== 'pg_ctl') {
    await ports.services.stopService(service, context);
    return { stopped: true };
  }
  const { binDirectory } = await installationOf(ports.instance, postgresMajor, context);
  await ports.instanceControl.stopServer({ dataDirectory: standby.dataDirectory, binDirectory, owner, mode: 'fast' }, context);
  return { stopped: true };
}

/** One that is in use is of use to somebody else: it is left alone. */
async function renewSlot(ports: HandlerPorts, { node, slot, systemIdentifier }: StepOf<'renew-slot'>, context: OperationContext) {
  const address = await primaryAddress(ports, node, context);
  const server = await ports.postgres.observeServer(address, context);
  if (String(server.systemIdentifier) !== systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${node} is of another cluster (system identifier ${server.systemIdentifier})`);
  const present = (await ports.postgres.observeReplication(address, context)).slots.find(({ name }) => name === slot);
  if (present !== undefined && isSlotOfUse(present)) return { dropped: false, created: false };
  if (present?.kind === 'logical')
    throw new SpokeError('REFUSED_PRECONDITION', `${node} has a logical slot ${slot}: that is somebody else's`, {
      hint: 'Rename the node, or drop that slot yourself.',
    });
  if (present !== undefined) await ports.postgresWriter.dropSlot(address, slot, context);
  await ports.postgresWriter.createSlot(address, slot, context);
  return { dropped: present !== undefined, created: true };
}

/** Both ends are asked; `patienceMs` counts from the last time that it came further. */
async function awaitStreaming(ports: HandlerPorts, step: StepOf<'await-streaming'>, context: OperationContext) {
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
    if (ports.clock.monotonicMs() - progressedMs > step.patienceMs) throw doesNotStream(step, state.why);
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

function doesNotStream({ node, primary }: StepOf<'await-streaming'>, why: string): SpokeError {
  return new SpokeError('TIMED_OUT', `${node} does not stream from ${primary}: ${why}`, {
    hint: `See why: spoke-backup doctor; the server log of ${node} says why it cannot connect. Then: spoke-backup runs resume`,
  });
}

type StreamingState =
  | { readonly kind: 'streams'; readonly timeline: number; readonly lagBytes: bigint }
  | { readonly kind: 'not yet'; readonly why: string; readonly replayedLsn?: bigint };

async function streamingState(
  ports: HandlerPorts,
  { node, primary, slot, systemIdentifier, maxLagBytes }: StepOf<'await-streaming'>,
  { signal }: OperationContext,
): Promise<StreamingState> {
  const notYet = (why: string, replayedLsn?: bigint): StreamingState => ({
    kind: 'not yet',
    why,
    ...(replayedLsn === undefined ? {} : { replayedLsn }),
  });
  const source = await primaryAddress(ports, primary, { signal });
  const server = await ports.postgres.observeServer(source, { signal });
  const sending = await ports.postgres.observeReplication(source, { signal });
  const address = await ports.access.addressOf(node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node} has no url in the configuration`);
  const own = await ifItAnswers(ports.postgres.observeServer(address, { signal }));
  const receiving = await ifItAnswers(ports.postgres.observeReplication(address, { signal }));
  if (own === undefined || receiving === undefined) return notYet('it does not answer yet');
  requireStandbyOf(node, own, systemIdentifier);
  const { replayedLsn, receiver } = receiving;
  if (receiver === undefined) return notYet('it has no WAL receiver', replayedLsn);
  if (receiver.status !== undefined && receiver.status !== 'streaming')
    return notYet(`its WAL receiver is ${receiver.status}`, replayedLsn);
  if (sending.slots.find(({ name }) => name === slot)?.active !== true)
    return notYet(`nobody uses the slot ${slot} on ${primary}`, replayedLsn);
  const timeline = receiver.timeline ?? own.timeline;
  if (timeline !== server.timeline) return notYet(`it is on timeline ${timeline}, ${primary} on ${server.timeline}`, replayedLsn);
  const position: PrimaryPosition | undefined =
    sending.flushLsn === undefined ? undefined : { at: sending.serverTime, lsn: sending.flushLsn };
  const lag = position === undefined ? undefined : lagOf(position, receiving);
  if (lag === undefined) return notYet('it does not tell how far it is', replayedLsn);
  if (lag.bytes > BigInt(maxLagBytes)) return notYet(`${formatBytes(lag.bytes)} are left to replay`, replayedLsn);
  return { kind: 'streams', timeline, lagBytes: lag.bytes };
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
