import type { SshConfig } from '../../config/model.ts';
import { type HostHello, PROTOCOL_VERSION } from '../../domain/hosts/protocol.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { CommandPreview } from '../../ports/backup-engine.ts';
import type { HostControl, HostEngine, HostReader, HostView, Place } from '../../ports/hosts.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { AgentConnection } from './connection.ts';
import { otherVersion } from './failure.ts';
import { remoteInstance } from './remote-instance.ts';

/** ssh itself gives up sooner; then the other end has to start. */
const HELLO_TIMEOUT_MS = 15_000;
/** A connection that nobody has needed for so long is closed. */
const IDLE_MS = 120_000;

/** A place that is not on this host. */
export interface RemotePlace {
  readonly ssh: SshConfig;
  /** The node of the configuration there; absent where the place is none. */
  readonly node?: string;
}

export interface SshHostsOptions {
  readonly runner: ProcessRunner;
  readonly cluster: string;
  readonly places: ReadonlyMap<Place, RemotePlace>;
  /** Added to the environment of ssh. */
  readonly environment?: Readonly<Record<string, string>>;
}

interface Host {
  readonly connection: AgentConnection;
  readonly hello: HostHello;
  idle: NodeJS.Timeout | undefined;
}

/** Other hosts, by `ssh HOST spoke-backup agent`: one connection a place, opened when it is needed and kept. */
export interface SshHosts extends HostReader, HostControl {
  /** Ends all connections; what is under way there is cancelled. */
  close(): Promise<void>;
}

export function createSshHosts(options: SshHostsOptions): SshHosts {
  const hosts = new Map<Place, Promise<Host>>();

  /** The open connection, or a new one. One that could not be opened, or is over, is forgotten: the next who asks tries again. */
  function hostOf(place: Place, { signal }: OperationContext): Promise<Host> {
    let host = hosts.get(place);
    if (host === undefined) {
      host = open(place, options);
      hosts.set(place, host);
      void host
        .then(({ connection }) => connection.ended)
        .catch(() => {})
        .then(() => hosts.get(place) === host && hosts.delete(place));
    }
    return orAborted(host, signal);
  }

  async function ask(place: Place, question: Parameters<AgentConnection['ask']>[0], context: OperationContext): Promise<unknown> {
    const host = await hostOf(place, context);
    clearTimeout(host.idle);
    try {
      return await host.connection.ask(question, context);
    } finally {
      if (host.connection.pendingCount === 0) closeWhenIdle(host);
    }
  }

  return {
    isElsewhere: (place) => options.places.has(place),
    async look(place, context) {
      const { connection, hello } = await hostOf(place, context);
      const limited = (limits: OperationContext) => (limits.timeoutMs === undefined ? {} : { timeoutMs: limits.timeoutMs });
      return {
        name: connection.name,
        version: hello.version,
        hostname: hello.host,
        instance: remoteInstance(
          (what, of, limits) => ask(place, { request: 'inspect', what, of, ...limited(limits) }, limits),
          hello.user,
          context,
        ),
        observeEngine: async (postgresMajor, limits) =>
          (await ask(place, { request: 'engine', postgresMajor: postgresMajor ?? null }, limits)) as HostEngine,
        preview: async (step, limits) => (await ask(place, { request: 'preview', step }, limits)) as readonly CommandPreview[],
      } satisfies HostView;
    },
    async runStep(step, context) {
      const { timeoutMs } = context;
      const question = { request: 'run-step', step, ...(timeoutMs === undefined ? {} : { timeoutMs }) } as const;
      return (await ask(step.on ?? '', question, context)) as Readonly<Record<string, unknown>>;
    },
    async close() {
      const opened = await Promise.allSettled(hosts.values());
      await Promise.all(opened.map(async (host) => host.status === 'fulfilled' && host.value.connection.close()));
    },
  };
}

/** Others may wait for the same connection: it is opened all the same. */
async function orAborted<T>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw asSpokeError(signal.reason);
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => (onAbort = () => reject(asSpokeError(signal.reason))));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([opening, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function closeWhenIdle(host: Host): void {
  clearTimeout(host.idle);
  host.idle = setTimeout(() => void host.connection.close(), IDLE_MS).unref();
}

async function open(place: Place, { places, runner, cluster, environment = {} }: SshHostsOptions): Promise<Host> {
  const found = places.get(place);
  if (found === undefined) throw new SpokeError('USAGE', `${place} is on this host`);
  const words = [...found.ssh.command, 'agent', '--cluster', cluster];
  const connection = new AgentConnection({ runner, ssh: found.ssh, words, environment });
  try {
    const question = { request: 'hello', protocol: PROTOCOL_VERSION, node: found.node ?? null } as const;
    const hello = await connection.ask(question, { signal: new AbortController().signal, timeoutMs: HELLO_TIMEOUT_MS });
    const host: Host = { connection, hello: checked(hello, connection.name), idle: undefined };
    closeWhenIdle(host);
    return host;
  } catch (thrown) {
    await connection.close();
    throw refusedThere(asSpokeError(thrown));
  }
}

function checked(hello: unknown, host: string): HostHello {
  const { protocol, user } = (typeof hello === 'object' && hello !== null ? hello : {}) as Partial<HostHello>;
  if (protocol !== PROTOCOL_VERSION || typeof user?.uid !== 'number') throw otherVersion(host, `it speaks protocol ${String(protocol)}`);
  return hello as HostHello;
}

/** A cluster or node that is not known there is no fault of the command line that was typed here. */
function refusedThere(error: SpokeError): SpokeError {
  if (error.code !== 'USAGE' && error.code !== 'CONFIG_NOT_FOUND') return error;
  return new SpokeError('CONFIG_INVALID', error.message, {
    details: error.details,
    hint: `On that host: spoke-backup config check. Every host needs a configuration with the same cluster and nodes.`,
    cause: error,
  });
}
