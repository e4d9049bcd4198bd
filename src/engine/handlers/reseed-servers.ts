import { isSlotOfUse } from '../../domain/topology/slot-state.ts';
import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { primaryAddress } from './archiving.ts';
import { awaitStreaming } from './await-streaming.ts';
import { confirmStandby } from './confirm-standby.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { stopCommand, stopServed } from './server-service.ts';

/** The servers of a reseed: the standby stopped, its slot, and that it streams at the end. */
export function reseedServerHandlers(ports: HandlerPorts): HandlersOf<'stop-standby' | 'renew-slot' | 'await-streaming'> {
  return {
    'stop-standby': {
      preview: ({ standby, service }) => [{ argv: stopCommand({ service, dataDirectory: standby.dataDirectory }, 'fast') }],
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
  await stopServed(ports, { service, postgresMajor, dataDirectory: standby.dataDirectory }, { owner, mode: 'fast' }, context);
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
