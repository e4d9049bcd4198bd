import { formatLsn } from '../../domain/postgres/lsn.ts';
import { SpokeError } from '../../errors.ts';
import type { Fence } from '../../plan/change-primary-steps.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress, ServerObservation } from '../../ports/postgres-server.ts';
import { instanceOf } from '../../workflows/hosts.ts';
import { primaryAddress } from './archiving.ts';
import { requireHeld } from './change-primary-servers.ts';
import { ifItAnswers } from './connect.ts';
import { awaitReplay, requireReplayed } from './hand-over.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

type Kinds = 'checkpoint' | 'confirm-roles' | 'await-replay' | 'fence-by-command' | 'promote-standby' | 'drop-slots';

/** Who is primary, and who becomes it: by SQL, and by what the hosts show. */
export function changePrimaryRoleHandlers(ports: HandlerPorts): HandlersOf<Kinds> {
  return {
    checkpoint: {
      preview: ({ node }) => [{ argv: [`(${node})`, 'CHECKPOINT'] }],
      run: async ({ node }, context) => {
        await ports.postgresWriter.checkpoint(await primaryAddress(ports, node, context), context);
        return {};
      },
    },
    'confirm-roles': {
      preview: ({ primary, standby }) => [primary, standby].map((node) => ({ argv: [`(${node})`, 'SELECT pg_is_in_recovery()'] })),
      run: (step, context) => confirmRoles(ports, step, context),
    },
    'await-replay': {
      preview: ({ node, stopped }) => [
        { argv: ['pg_controldata', stopped.dataDirectory] },
        { argv: [`(${node})`, 'SELECT pg_last_wal_replay_lsn()'] },
      ],
      run: async (step, context) => awaitReplay(ports, { ...step, address: await addressOf(ports, step.node) }, context),
    },
    'fence-by-command': {
      preview: ({ command }) => [{ argv: command }],
      run: async ({ command }, context) => {
        await ports.fencing.fence(command, context);
        return {};
      },
    },
    'promote-standby': {
      preview: ({ node }) => [{ argv: [`(${node})`, 'SELECT pg_promote()'] }],
      run: (step, context) => promote(ports, step, context),
    },
    'drop-slots': {
      preview: ({ node, slots }) => slots.map((slot) => ({ argv: [`(${node})`, `SELECT pg_drop_replication_slot('${slot}')`] })),
      run: (step, context) => dropSlots(ports, step, context),
    },
  };
}

async function addressOf({ access }: HandlerPorts, node: string): Promise<ServerAddress> {
  const address = await access.addressOf(node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node} has no url in the configuration`);
  return address;
}

/** That very cluster. Throws REFUSED_WRONG_CLUSTER. */
async function observe(ports: HandlerPorts, node: string, systemIdentifier: string, context: OperationContext): Promise<ServerObservation> {
  const server = await ports.postgres.observeServer(await addressOf(ports, node), context);
  if (String(server.systemIdentifier) === systemIdentifier) return server;
  throw new SpokeError('REFUSED_WRONG_CLUSTER', `${node} is of another cluster (system identifier ${server.systemIdentifier})`);
}

async function confirmRoles(ports: HandlerPorts, step: StepOf<'confirm-roles'>, context: OperationContext) {
  const { primary, standby, systemIdentifier, timeline } = step;
  const [first, second] = await Promise.all([
    observe(ports, primary, systemIdentifier, context),
    observe(ports, standby, systemIdentifier, context),
  ]);
  if (first.inRecovery) throw new SpokeError('PLAN_STALE', `${primary} is in recovery now: it is no longer the primary`);
  if (!second.inRecovery) throw new SpokeError('PLAN_STALE', `${standby} is no longer in recovery: there are two primaries now`);
  if (first.timeline !== timeline)
    throw new SpokeError('PLAN_STALE', `${primary} is on timeline ${first.timeline}, and was on ${timeline}`);
  return { timeline };
}

/**
 * All that must be so is looked at here, right before: fences, that nobody else accepts writes, that it still is that standby, and has
 * everything where it was handed over to.
 */
async function promote(ports: HandlerPorts, step: StepOf<'promote-standby'>, context: OperationContext) {
  const { node, systemIdentifier, timeline, fences, others, handedOverBy: stopped } = step;
  const address = await addressOf(ports, node);
  for (const fence of fences) await requireFenced(ports, fence, context);
  if (fences.some(({ kind }) => kind === 'declared')) await requireNotFed(ports, node, context);
  await Promise.all(others.map((other) => requireNoPrimary(ports, other, systemIdentifier, context)));
  const before = await observe(ports, node, systemIdentifier, context);
  if (before.inRecovery && before.timeline !== timeline)
    throw new SpokeError('PLAN_STALE', `${node} follows timeline ${before.timeline} now, and did ${timeline}`);
  if (before.inRecovery && stopped !== undefined) await requireReplayed(ports, { node, address, stopped, timeline }, context);
  await ports.postgresWriter.promote(address, context);
  const after = await observe(ports, node, systemIdentifier, context);
  if (after.inRecovery || after.timeline <= timeline)
    throw new SpokeError(
      'POSTGRES_FAILED',
      `${node} was promoted and is ${after.inRecovery ? 'still in recovery' : `on timeline ${after.timeline}`}`,
    );
  return { timeline: after.timeline, ...(after.lsn === undefined ? {} : { lsn: formatLsn(after.lsn) }) };
}

async function requireFenced(ports: HandlerPorts, fence: Fence, context: OperationContext): Promise<void> {
  if (fence.kind !== 'stopped') return;
  const { server } = fence;
  const found = await (await instanceOf(server.node, ports, context)).inspectDirectory(server.dataDirectory, context);
  requireHeld(found, server);
  if (found.running !== undefined)
    throw new SpokeError(
      'REFUSED_SERVER_RUNNING',
      `a server runs in ${server.dataDirectory} of ${server.node} again: nothing was promoted`,
    );
  if (!found.hasStandbySignal)
    throw new SpokeError('REFUSED_PRECONDITION', `${server.node} has no standby.signal: started, it would be a second primary`);
}

/** A word is not believed against what is seen: the old primary lives where it still sends WAL. */
async function requireNotFed(ports: HandlerPorts, node: string, context: OperationContext): Promise<void> {
  const { inRecovery, receiver } = await ports.postgres.observeReplication(await addressOf(ports, node), context);
  if (!inRecovery || receiver?.status !== 'streaming') return;
  throw new SpokeError('REFUSED_PRECONDITION', `${node} still receives WAL, so the old primary is not fenced: nothing was promoted`, {
    hint: 'Where it was cut off just now, that is noticed after wal_receiver_timeout. See: spoke-backup status',
  });
}

/** Whatever was fenced, however: one that answers and accepts writes is none. */
async function requireNoPrimary(ports: HandlerPorts, node: string, systemIdentifier: string, context: OperationContext): Promise<void> {
  const address = await ports.access.addressOf(node);
  if (address === undefined) return;
  const server = await ifItAnswers(ports.postgres.observeServer(address, { signal: context.signal }));
  if (server === undefined || server.inRecovery || String(server.systemIdentifier) !== systemIdentifier) return;
  throw new SpokeError('REFUSED_PRECONDITION', `${node} answers and accepts writes: nothing was promoted beside it`, {
    hint: 'See: spoke-backup status',
  });
}

/** Of a standby: those that it held as a primary, and that nobody will read from it. */
async function dropSlots(ports: HandlerPorts, { node, slots }: StepOf<'drop-slots'>, context: OperationContext) {
  const address = await addressOf(ports, node);
  const { inRecovery } = await ports.postgres.observeServer(address, context);
  if (!inRecovery) throw new SpokeError('PLAN_STALE', `${node} is no standby: others may need its slots`);
  for (const slot of slots) await ports.postgresWriter.dropSlot(address, slot, context);
  return { slots };
}
