import { SpokeError } from '../../errors.ts';
import type { ConfirmedStandby } from '../../plan/reseed-steps.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { ifItAnswers } from './connect.ts';
import type { HandlerPorts } from './ports.ts';

/**
 * Looks, right before something of a standby is changed, whether it still is what was confirmed: that directory, of that cluster, no primary,
 * and another server is the primary. Throws PLAN_STALE, REFUSED_PRECONDITION (a primary) or REFUSED_WRONG_CLUSTER; then nothing was touched.
 */
export async function confirmStandby(ports: HandlerPorts, standby: ConfirmedStandby, context: OperationContext): Promise<DirectoryFacts> {
  const { dataDirectory, identity, systemIdentifier } = standby;
  const found = await ports.instance.inspectDirectory(dataDirectory, context);
  const hasWhatWasConfirmed = found.identity === identity;
  if (!hasWhatWasConfirmed)
    throw new SpokeError(
      'PLAN_STALE',
      found.identity === undefined ? `${dataDirectory} is gone` : `${dataDirectory} is not the directory that was confirmed`,
    );
  if (found.control !== undefined) requireCluster(dataDirectory, String(found.control.systemIdentifier), systemIdentifier);
  await requireNoPrimary(ports, standby, found, context);
  await requirePrimary(ports, standby, context);
  return found;
}

function requireCluster(what: string, found: string, expected: string): void {
  if (found === expected) return;
  throw new SpokeError('REFUSED_WRONG_CLUSTER', `${what} is of another cluster: its system identifier is ${found}, not ${expected}`, {
    details: { found, expected },
  });
}

/** By what it says itself, by what its files say where it does not answer, and by whoever answers at its URL. */
async function requireNoPrimary(
  ports: HandlerPorts,
  { node, dataDirectory, systemIdentifier }: ConfirmedStandby,
  { running, control, hasStandbySignal }: DirectoryFacts,
  context: OperationContext,
): Promise<void> {
  const address = await ports.access.addressOf(node);
  const server = address === undefined ? undefined : await ifItAnswers(ports.postgres.observeServer(address, { signal: context.signal }));
  if (server !== undefined) requireCluster(node, String(server.systemIdentifier), systemIdentifier);
  if (server?.inRecovery === false) throw isPrimary(node, 'it says so itself');
  if (running === undefined && server !== undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `the url of ${node} is answered, and yet no server runs on ${dataDirectory}`, {
      hint: 'Correct url or dataDirectory of that node in the configuration.',
    });
  if (running === undefined || server !== undefined) return;
  if (!hasStandbySignal) throw isPrimary(node, 'a server runs there without standby.signal');
  if (control?.state === 'in production') throw isPrimary(node, 'its pg_control says "in production"');
}

function isPrimary(node: string, evidence: string): SpokeError {
  return new SpokeError('REFUSED_PRECONDITION', `${node} is a primary (${evidence}): nothing of it is touched`, { details: { node } });
}

async function requirePrimary(
  ports: HandlerPorts,
  { primary, systemIdentifier }: ConfirmedStandby,
  context: OperationContext,
): Promise<void> {
  const address = await ports.access.addressOf(primary);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${primary} has no url in the configuration`);
  const server = await ports.postgres.observeServer(address, { signal: context.signal });
  requireCluster(primary, String(server.systemIdentifier), systemIdentifier);
  if (server.inRecovery) throw new SpokeError('PLAN_STALE', `${primary} is no longer the primary`);
}

/** The same, and no server runs. Throws REFUSED_SERVER_RUNNING, too. */
export async function confirmStoppedStandby(
  ports: HandlerPorts,
  standby: ConfirmedStandby,
  context: OperationContext,
): Promise<DirectoryFacts> {
  const found = await confirmStandby(ports, standby, context);
  if (found.running === undefined) return found;
  throw new SpokeError('REFUSED_SERVER_RUNNING', `a server was started in ${standby.dataDirectory} meanwhile`, {
    hint: 'Stop it, then: spoke-backup runs resume',
  });
}
