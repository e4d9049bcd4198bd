import { formatLsn } from '../../domain/postgres/lsn.ts';
import { SpokeError } from '../../errors.ts';
import type { HeldServer } from '../../plan/change-primary-steps.ts';
import type { StepOf } from '../../plan/step.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { startCommand, startServed, stopCommand, stopServed } from './server-service.ts';

const SIGNAL_MODE = 0o600;

/** Stopping a server so that it can come back as a standby alone, and starting it. Done on its own host. */
export function changePrimaryServerHandlers(ports: HandlerPorts): HandlersOf<'stop-primary' | 'start-standby' | 'bring-back-primary'> {
  return {
    'stop-primary': {
      preview: ({ server, mode }) => [{ argv: ['write', signalFile(server)] }, { argv: stopCommand(server, mode) }],
      run: (step, context) => stopPrimary(ports, step, context),
    },
    'start-standby': {
      preview: ({ server }) => [{ argv: startCommand(server, server) }],
      run: (step, context) => startStandby(ports, step, context),
    },
    'bring-back-primary': {
      preview: ({ server }) => [{ argv: ['rm', signalFile(server)] }, { argv: startCommand(server, server) }],
      run: (step, context) => bringBack(ports, step, context),
    },
  };
}

function signalFile({ dataDirectory }: HeldServer): string {
  return `${dataDirectory}/standby.signal`;
}

/** The data directory that was confirmed, of the cluster that was confirmed. Throws PLAN_STALE, REFUSED_WRONG_CLUSTER. */
export function requireHeld(
  found: DirectoryFacts,
  server: HeldServer,
): asserts found is DirectoryFacts & Required<Pick<DirectoryFacts, 'control' | 'owner'>> {
  const { path, identity, control, owner } = found;
  if (identity !== server.identity)
    throw new SpokeError('PLAN_STALE', identity === undefined ? `${path} is gone` : `${path} is not the directory that was confirmed`);
  if (control === undefined || owner === undefined) throw new SpokeError('PLAN_STALE', `${path} has no pg_control that can be read`);
  if (String(control.systemIdentifier) !== server.systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${path} is of another cluster (system identifier ${control.systemIdentifier})`);
}

/** The signal first: from then on nobody, a service manager included, starts anything but a standby. A running server does not look at it. */
async function stopPrimary(ports: HandlerPorts, { server, mode }: StepOf<'stop-primary'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(server.dataDirectory, context);
  requireHeld(found, server);
  if (!found.hasStandbySignal) await ports.instanceControl.writeFileDurably(signalFile(server), '', found.owner, SIGNAL_MODE);
  if (found.running !== undefined) await stopServed(ports, server, { owner: found.owner, mode }, context);
  const { state, timeline, checkpointLsn } = await requireStopped(ports, server, context);
  return { state, timeline, checkpointLsn: formatLsn(checkpointLsn) };
}

async function requireStopped(ports: HandlerPorts, server: HeldServer, context: OperationContext) {
  const after = await ports.instance.inspectDirectory(server.dataDirectory, context);
  requireHeld(after, server);
  if (after.running === undefined) return after.control;
  throw new SpokeError('REFUSED_SERVER_RUNNING', `a server still runs in ${server.dataDirectory} after it was stopped`, {
    hint: 'See what starts it again, stop it, then: spoke-backup runs resume',
  });
}

async function startStandby(ports: HandlerPorts, { server }: StepOf<'start-standby'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(server.dataDirectory, context);
  requireHeld(found, server);
  if (found.running !== undefined) return { alreadyRunning: true };
  if (!found.hasStandbySignal)
    throw new SpokeError('REFUSED_PRECONDITION', `${server.dataDirectory} has no standby.signal: it would start as a second primary`, {
      hint: 'Somebody took the file away. Nothing was started; see: spoke-backup status',
    });
  await startServed(ports, server, { owner: found.owner, port: server.port, socketDirectory: server.socketDirectory }, context);
  return {};
}

/** Whoever calls it has made sure that nobody was promoted, and that nobody will be. */
async function bringBack(ports: HandlerPorts, { server }: StepOf<'bring-back-primary'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(server.dataDirectory, context);
  requireHeld(found, server);
  const wasStandby = found.running !== undefined && isNoPrimary(found);
  if (wasStandby) {
    await stopServed(ports, server, { owner: found.owner, mode: 'fast' }, context);
    await requireStopped(ports, server, context);
  }
  if (found.hasStandbySignal) await ports.instanceControl.removeFileDurably(signalFile(server));
  if (found.running !== undefined && !wasStandby) return { alreadyRunning: true };
  await startServed(ports, server, { owner: found.owner, port: server.port, socketDirectory: server.socketDirectory }, context);
  return { wasStandby };
}

/** A server that was started with standby.signal, or that is still on its way down. One that only has the signal for its next start is in production. */
function isNoPrimary({ hasStandbySignal, control }: DirectoryFacts & Required<Pick<DirectoryFacts, 'control'>>): boolean {
  return control.state === 'in archive recovery' || (hasStandbySignal && control.state !== 'in production');
}
