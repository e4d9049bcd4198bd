import type { HandlerPorts, HandlersOf } from './ports.ts';
import { ifItAnswers, installationOf } from './connect.ts';
import { restartByPatroni } from './server-service.ts';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StepOf } from '../../plan/step.ts';

const POLL_MS = 100;
const LIMIT_MS = 5 * 60_000;

/** Restarting a server by whatever manages it. */
export function restartHandlers(ports: HandlerPorts): HandlersOf<'restart-server'> {
  return {
    'restart-server': {
      preview: (step) => [{ argv: restartCommand(step) }],
      run: async (step, context) => {
        await restart(ports, step, context);
        await untilItAnswers(ports, step.node, context);
        return {};
      },
    },
  };
}

function restartCommand({ service, dataDirectory }: StepOf<'restart-server'>): string[] {
  switch (service.manager) {
    case 'pg_ctl':
      return ['pg_ctl', 'restart', '-D', dataDirectory ?? '(unknown)', '-m', 'fast'];
    case 'pg_ctlcluster':
      return ['pg_ctlcluster', service.version, service.clusterName, 'restart'];
    case 'systemd':
      return ['systemctl', 'restart', service.unit];
    case 'patroni':
      return [`(patroni ${service.member})`, 'POST', '/restart'];
  }
}

async function restart(ports: HandlerPorts, step: StepOf<'restart-server'>, context: OperationContext): Promise<void> {
  if (step.service.manager === 'patroni') return restartByPatroni(ports, step.service.member, context);
  if (step.service.manager !== 'pg_ctl') return ports.services.restartService(step.service, context);
  if (step.dataDirectory === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `the data directory of ${step.node} is not known, so pg_ctl cannot restart it`, {
      hint: 'Add dataDirectory to that node in the configuration, or restart the server yourself.',
    });
  const found = await ports.instance.inspectDirectory(step.dataDirectory, context);
  const { running, owner } = found;
  if (running?.port === undefined || owner === undefined)
    throw new SpokeError('PLAN_STALE', `no server runs in ${step.dataDirectory} on this host, so it cannot be restarted by pg_ctl`);
  const { binDirectory } = await installationOf(ports.instance, step.postgresMajor, context);
  await ports.instanceControl.stopServer({ dataDirectory: step.dataDirectory, binDirectory, owner, mode: 'fast' }, context);
  await ports.instanceControl.startServer(
    {
      dataDirectory: step.dataDirectory,
      binDirectory,
      owner,
      port: running.port,
      socketDirectory: running.socketDirectory ?? '/tmp',
      logFile: `${step.dataDirectory}.log`,
      settings: {},
    },
    context,
  );
}

/** That it was started is not yet that it lets anybody in, and the next step asks it. */
async function untilItAnswers({ access, postgres, clock }: HandlerPorts, node: string, context: OperationContext): Promise<void> {
  const address = await access.addressOf(node);
  if (address === undefined) return;
  const deadlineMs = clock.monotonicMs() + (context.timeoutMs ?? LIMIT_MS);
  while ((await ifItAnswers(postgres.observeRecovery(address, { signal: context.signal }))) === undefined) {
    if (clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `${node} was restarted and does not answer`, {
        hint: 'Read its server log: it says what it waits for.',
      });
    await clock.sleep(POLL_MS, context.signal);
  }
}
