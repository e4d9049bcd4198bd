import { SpokeError } from '../../errors.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StepOf } from '../../plan/step.ts';
import { connectAsSuperuser } from './connect.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { startCommand, startServed, stopCommand, stopServed } from './server-service.ts';

const POLL_MS = 250;
const LOG_TAIL_BYTES = 4096;

/** Taking the place of the old data directory. */
export function swapHandlers(
  ports: HandlerPorts,
): HandlersOf<'stop-server' | 'swap-data-directory' | 'start-restored' | 'confirm-restored' | 'discard-old'> {
  return {
    'stop-server': {
      preview: (step) => [{ argv: stopCommand(step, 'fast') }],
      run: (step, context) => stopServer(ports, step, context),
    },
    'swap-data-directory': {
      preview: (step) => [
        ...(step.oldDataDirectory === undefined ? [] : [{ argv: ['mv', '-T', step.dataDirectory, step.oldDataDirectory] }]),
        { argv: ['mv', '-T', step.area.dataDirectory, step.dataDirectory] },
      ],
      run: (step, context) => swap(ports, step, context),
    },
    'start-restored': {
      preview: (step) => [{ argv: startCommand(step, step) }],
      run: (step, context) => startRestored(ports, step, context),
    },
    'confirm-restored': {
      preview: (step) => [{ argv: ['psql', '-h', step.socketDirectory, '-p', String(step.port), '-c', 'SELECT pg_is_in_recovery()'] }],
      run: (step, context) => confirm(ports, step, context),
    },
    'discard-old': {
      preview: (step) => [{ argv: ['rm', '-r', step.oldDataDirectory] }],
      run: (step, context) => discardOld(ports, step, context),
    },
  };
}

async function stopServer(ports: HandlerPorts, step: StepOf<'stop-server'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(step.dataDirectory, context);
  requireConfirmed(found, step.destinationIdentity);
  if (found.running === undefined) return { stopped: false };
  await stopServed(ports, step, { owner: step.owner, mode: 'fast' }, context);
  return { stopped: true };
}

/** What was confirmed is what is there: that very directory, or none. */
function requireConfirmed({ path, identity }: DirectoryFacts, confirmed: string | undefined): void {
  if (identity === confirmed) return;
  throw new SpokeError('PLAN_STALE', identity === undefined ? `${path} is gone` : `${path} is not the directory that was confirmed`);
}

/** Two renames. After the first the data directory is away and its old content bootable beside; the second is the commit point. */
async function swap(ports: HandlerPorts, step: StepOf<'swap-data-directory'>, context: OperationContext) {
  const [restored, destination] = await Promise.all([
    ports.instance.inspectDirectory(step.area.dataDirectory, context),
    ports.instance.inspectDirectory(step.dataDirectory, context),
  ]);
  if (restored.identity === undefined) throw new SpokeError('PLAN_STALE', `${step.area.dataDirectory} is gone`);
  if (destination.running !== undefined)
    throw new SpokeError('REFUSED_SERVER_RUNNING', `a server was started in ${step.dataDirectory} meanwhile`, {
      hint: 'Stop it, then: spoke-backup runs resume',
    });
  requireConfirmed(destination, step.destinationIdentity);
  if (destination.identity !== undefined && step.oldDataDirectory !== undefined)
    await ports.instanceControl.renameDirectory(step.dataDirectory, step.oldDataDirectory, destination.identity);
  await ports.instanceControl.renameDirectory(step.area.dataDirectory, step.dataDirectory, restored.identity);
  return { dataDirectory: step.dataDirectory, oldDataDirectory: step.oldDataDirectory ?? null };
}

async function startRestored(ports: HandlerPorts, step: StepOf<'start-restored'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(step.dataDirectory, context);
  if (found.running !== undefined) return { alreadyRunning: true };
  const socketDirectory = await ports.instance.inspectDirectory(step.socketDirectory, context);
  if (step.service.manager === 'pg_ctl' && socketDirectory.kind === 'absent')
    await ports.instanceControl.createDirectory(step.socketDirectory, step.owner);
  await startServed(ports, step, { owner: step.owner, port: step.port, socketDirectory: step.socketDirectory }, context);
  return {};
}

/** Beside the data directory, where an operator looks first. */
export function restoredLogFile(dataDirectory: string): string {
  return `${dataDirectory}.log`;
}

async function confirm(ports: HandlerPorts, step: StepOf<'confirm-restored'>, context: OperationContext) {
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  for (;;) {
    const state = await tryConfirm(ports, step, context);
    if (state !== undefined) return state;
    const { running } = await ports.instance.inspectDirectory(step.dataDirectory, context);
    if (running === undefined || ports.clock.monotonicMs() > deadlineMs) {
      const tail = await ports.instance.readFileTail(restoredLogFile(step.dataDirectory), LOG_TAIL_BYTES);
      throw new SpokeError(
        'POSTGRES_FAILED',
        `the restored server in ${step.dataDirectory} ${running === undefined ? 'ended' : 'does not answer'}`,
        {
          details: { serverLog: tail },
          hint: `Read ${restoredLogFile(step.dataDirectory)}; the data is restored and in place.`,
        },
      );
    }
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

async function tryConfirm(ports: HandlerPorts, step: StepOf<'confirm-restored'>, context: OperationContext) {
  try {
    const { address, state } = await connectRestored(ports, step, context);
    if (step.writable ? state.inRecovery : !state.paused) return undefined;
    const server = await ports.postgres.observeServer(address, context);
    if (String(server.systemIdentifier) !== step.systemIdentifier)
      throw new SpokeError(
        'REFUSED_WRONG_CLUSTER',
        `the server on port ${step.port} is another cluster (system identifier ${server.systemIdentifier})`,
      );
    return { timeline: server.timeline, port: step.port, inRecovery: state.inRecovery };
  } catch (thrown) {
    if (thrown instanceof SpokeError && (thrown.code === 'POSTGRES_UNAVAILABLE' || thrown.code === 'TIMED_OUT')) return undefined;
    throw thrown;
  }
}

async function connectRestored(ports: HandlerPorts, step: StepOf<'confirm-restored'>, context: OperationContext) {
  const address = step.node === undefined ? undefined : await ports.access.addressOf(step.node);
  if (address === undefined) return connectAsSuperuser(ports, step, step.superusers, context);
  return { address, state: await ports.postgres.observeRecovery(address, context) };
}

async function discardOld(ports: HandlerPorts, step: StepOf<'discard-old'>, context: OperationContext) {
  const found = await ports.instance.inspectDirectory(step.oldDataDirectory, context);
  if (found.identity === undefined) return { removed: false };
  if (step.identity !== undefined && found.identity !== step.identity)
    throw new SpokeError('PLAN_STALE', `${step.oldDataDirectory} is not the directory that was replaced`);
  await ports.instanceControl.removeDirectory(step.oldDataDirectory, found.identity);
  return { removed: true };
}
