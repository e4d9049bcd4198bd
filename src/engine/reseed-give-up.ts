import type { ClusterConfig } from '../config/model.ts';
import { asSpokeError, type SpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StoredRun } from '../ports/run-store.ts';
import { observeServers } from '../workflows/observe-cluster.ts';
import { observeReseedData } from '../workflows/reseed/facts.ts';
import { type FrontFacts, observeFront } from '../workflows/reseed/front.ts';
import { mayHaveMadeSlot, planGivingUp, reasonAgainstGivingUp } from '../workflows/reseed/give-up.ts';
import type { ReseedIntent } from '../workflows/reseed/intent.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';

type Ports = ReadPorts & WritePorts;

/** Why a reseed may only be resumed; undefined where it may be given up. */
export async function reasonAgainstGivingUpReseed(
  intent: ReseedIntent,
  run: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SpokeError | undefined> {
  return reasonAgainstGivingUp(intent, await observeReseedData(intent, run, ports, context), run.header.runId);
}

/** Puts the old standby back as it was. Done again it finds what is left. */
export async function giveUpReseed(
  cluster: ClusterConfig,
  intent: ReseedIntent,
  run: StoredRun,
  ports: Ports,
  context: OperationContext,
): Promise<void> {
  const data = await observeReseedData(intent, run, ports, context);
  const handlers = withHosts(createStepHandlers(ports), ports);
  for (const step of planGivingUp(intent, data, run, await frontOf(cluster, intent, ports, context)))
    await runWhereItBelongs(step, handlers, context);
  if (mayHaveMadeSlot(run)) await dropUnreadSlot(intent, run, ports, context);
}

/** Nothing is said to applications where the primary is not there to be named. */
async function frontOf(
  cluster: ClusterConfig,
  { node }: ReseedIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<FrontFacts | undefined> {
  try {
    return await observeFront(cluster, node, await observeServers(cluster, ports, context), ports, context);
  } catch (thrown) {
    if (asSpokeError(thrown).code !== 'POSTGRES_UNAVAILABLE') throw thrown;
    return undefined;
  }
}

/** Made by this run for a standby that does not run: it would keep WAL until the disk is full. */
async function dropUnreadSlot(intent: ReseedIntent, run: StoredRun, ports: Ports, context: OperationContext): Promise<void> {
  const { primary, slot, systemIdentifier } = intent;
  const { destination } = await observeReseedData(intent, run, ports, context);
  const address = await ports.access.addressOf(primary);
  if (destination.running !== undefined || address === undefined) return;
  const server = await ports.postgres.observeServer(address, context);
  const found = (await ports.postgres.observeReplication(address, context)).slots.find(({ name }) => name === slot);
  const isOurs = String(server.systemIdentifier) === systemIdentifier && found?.kind === 'physical' && !found.active;
  if (isOurs) await ports.postgresWriter.dropSlot(address, slot, context);
}
