import { asSpokeError, SpokeError } from '../../errors.ts';
import type { InstanceReader } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { RecoveryState, ServerAddress } from '../../ports/postgres-server.ts';
import type { IsolatedServer } from '../../plan/step.ts';
import type { HandlerPorts } from './ports.ts';

/** Throws REFUSED_POSTGRES_VERSION where that major version is not installed. */
export async function installationOf(instance: InstanceReader, major: number, context: OperationContext) {
  const installation = await instance.findInstallation(major, context);
  if (installation === undefined) throw new SpokeError('REFUSED_POSTGRES_VERSION', `PostgreSQL ${major} was not found on this host`);
  return installation;
}

/** The isolated server's address and what it says. Throws POSTGRES_UNAVAILABLE while it accepts no connection. */
export async function connectIsolated(
  ports: HandlerPorts,
  server: IsolatedServer,
  context: OperationContext,
): Promise<{ address: ServerAddress; state: RecoveryState }> {
  const { running } = await ports.instance.inspectDirectory(server.area.dataDirectory, context);
  if (running?.port === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `no server runs in ${server.area.dataDirectory}`);
  return connectAsSuperuser(
    ports,
    { socketDirectory: running.socketDirectory ?? server.area.socketDirectory, port: running.port },
    server.superusers,
    context,
  );
}

/** Undefined where the server does not answer, or not now. */
export async function ifItAnswers<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code === 'POSTGRES_UNAVAILABLE' || error.code === 'TIMED_OUT') return undefined;
    throw error;
  }
}

/**
 * Tries the likely superusers in their order: which role initdb made is not recorded anywhere outside. Each question has the
 * usual limit of a question: that of the step is for hours of replay.
 */
export async function connectAsSuperuser(
  ports: Pick<HandlerPorts, 'postgres'>,
  at: { readonly socketDirectory: string; readonly port: number },
  superusers: readonly string[],
  context: OperationContext,
): Promise<{ address: ServerAddress; state: RecoveryState }> {
  let last: unknown;
  for (const user of superusers) {
    const address: ServerAddress = { kind: 'socket', socketDirectory: at.socketDirectory, port: at.port, user };
    try {
      return { address, state: await ports.postgres.observeRecovery(address, { signal: context.signal }) };
    } catch (thrown) {
      last = thrown;
    }
  }
  throw last;
}
