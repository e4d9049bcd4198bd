import { SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServiceManager } from '../../ports/service-control.ts';
import { installationOf } from './connect.ts';
import type { HandlerPorts } from './ports.ts';

/** A server of the cluster, and what starts and stops it. */
export interface ServedServer {
  readonly dataDirectory: string;
  readonly postgresMajor: number;
  readonly service: ServiceManager;
}

type StopMode = 'fast' | 'immediate';

/** As an operator would type it. */
export function stopCommand({ service, dataDirectory }: Pick<ServedServer, 'service' | 'dataDirectory'>, mode: StopMode): string[] {
  // Under Patroni, too, which has no command for it: it only has to be paused.
  if (service.manager === 'pg_ctl' || service.manager === 'patroni') return ['pg_ctl', 'stop', '-D', dataDirectory, '-m', mode];
  return service.manager === 'systemd'
    ? ['systemctl', 'stop', service.unit]
    : ['pg_ctlcluster', service.version, service.clusterName, 'stop'];
}

/** As an operator would type it. */
export function startCommand(
  { service, dataDirectory }: Pick<ServedServer, 'service' | 'dataDirectory'>,
  { port, socketDirectory }: { readonly port: number; readonly socketDirectory: string },
): string[] {
  switch (service.manager) {
    case 'pg_ctl':
      return ['postgres', '-D', dataDirectory, '-p', String(port), '-k', socketDirectory];
    case 'pg_ctlcluster':
      return ['pg_ctlcluster', service.version, service.clusterName, 'start'];
    case 'systemd':
      return ['systemctl', 'start', service.unit];
    case 'patroni':
      return [`(patroni ${service.member})`, 'POST', '/restart'];
  }
}

/** Throws REFUSED_PRECONDITION where Patroni looks after it and is not paused. */
export async function stopServed(
  ports: HandlerPorts,
  { service, dataDirectory, postgresMajor }: ServedServer,
  { owner, mode }: { readonly owner: FileOwner; readonly mode: StopMode },
  context: OperationContext,
): Promise<void> {
  if (service.manager === 'patroni') await requirePaused(ports, service.member, context);
  else if (service.manager !== 'pg_ctl') return ports.services.stopService(service, context);
  const { binDirectory } = await installationOf(ports.instance, postgresMajor, context);
  await ports.instanceControl.stopServer({ dataDirectory, binDirectory, owner, mode }, context);
}

/** `byHand`: how, where nothing but pg_ctl starts it. */
export async function startServed(
  ports: HandlerPorts,
  { service, dataDirectory, postgresMajor }: ServedServer,
  byHand: { readonly owner: FileOwner; readonly port: number; readonly socketDirectory: string },
  context: OperationContext,
): Promise<void> {
  if (service.manager === 'patroni') return restartByPatroni(ports, service.member, context);
  if (service.manager !== 'pg_ctl') return ports.services.startService(service, context);
  const { binDirectory } = await installationOf(ports.instance, postgresMajor, context);
  const logFile = `${dataDirectory}.log`;
  await ports.instanceControl.startServer({ dataDirectory, binDirectory, ...byHand, logFile, settings: {} }, context);
}

/** Looked at right before: whoever ends maintenance mode meanwhile has Patroni start the server again, or another one lead. */
async function requirePaused({ patroni }: HandlerPorts, member: string, context: OperationContext): Promise<void> {
  if (patroni === undefined) throw withoutPatroni(member);
  if ((await patroni.observeMember(member, context)).paused) return;
  throw new SpokeError(
    'REFUSED_PRECONDITION',
    `Patroni looks after ${member} and is not paused: its server is not stopped behind its back`,
    {
      hint: 'Pause it: patronictl pause --wait; then: spoke-backup runs resume',
    },
  );
}

/** With Patroni's own parameters, on its command line, as it would start it itself. */
export async function restartByPatroni({ patroniControl }: HandlerPorts, member: string, context: OperationContext): Promise<void> {
  if (patroniControl === undefined) throw withoutPatroni(member);
  await patroniControl.restart(member, context);
}

function withoutPatroni(member: string): SpokeError {
  return new SpokeError(
    'CONFIG_INVALID',
    `Patroni starts and stops the server of ${member}, and the configuration of this host has no patroni`,
  );
}
