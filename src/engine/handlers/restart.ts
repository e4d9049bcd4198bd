import type { HandlerPorts, HandlersOf } from './ports.ts';
import { installationOf } from './connect.ts';
import { restartByPatroni } from './server-service.ts';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StepOf } from '../../plan/step.ts';

/** Restarting a server by whatever manages it. */
export function restartHandlers(ports: HandlerPorts): HandlersOf<'restart-server'> {
  return {
    'restart-server': {
      preview: (step) => [{ argv: restartCommand(step) }],
      run: (step, context) => restart(ports, step, context),
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

async function restart(ports: HandlerPorts, step: StepOf<'restart-server'>, context: OperationContext) {
  if (step.service.manager === 'patroni') {
    await restartByPatroni(ports, step.service.member, context);
    return {};
  }
  if (step.service.manager !== 'pg_ctl') {
    await ports.services.restartService(step.service, context);
    return {};
  }
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
  return {};
}
