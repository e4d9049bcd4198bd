import { Socket } from 'node:net';
import type { Client } from 'pg';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';
import { type ConnectionTarget, connectionTargetOf, describeTarget, tlsOptionsOf } from './connection-target.ts';
import { type StopReason, isTlsUnsupported, sqlStateOf, translatePostgresError } from './postgres-error.ts';

/** A row as PostgreSQL printed it: every value is text, so that nothing loses digits on the way. */
export type TextRow = Readonly<Record<string, string | null>>;

/** One connection, for one caller, one statement at a time. */
export interface Session {
  /** Sends one statement by the simple protocol and gives its rows. */
  query(sql: string): Promise<readonly TextRow[]>;
}

interface SessionOptions {
  readonly defaultTimeoutMs: number;
  /** Whether the statements change something. */
  readonly writing: boolean;
  /** Also takes the commands of the replication protocol; the role needs REPLICATION. */
  readonly replication?: boolean;
  /** PgBouncer's admin console, which knows no settings of PostgreSQL. */
  readonly console?: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** setTimeout takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const APPLICATION_NAME = 'spoke-backup';
const INVALID_CATALOG_NAME = '3D000';

/**
 * Connects, hands the session to `use` and closes it whatever happens. All of it ends by the context's `timeoutMs`.
 * Throws POSTGRES_UNAVAILABLE, POSTGRES_FAILED, TIMED_OUT (only where `writing`), CANCELLED, CONFIG_INVALID.
 */
export async function withSession<T>(
  address: ServerAddress,
  context: OperationContext,
  options: SessionOptions,
  use: (session: Session, timeoutMs: number) => Promise<T>,
): Promise<T> {
  const target = connectionTargetOf(address);
  const timeoutMs = context.timeoutMs ?? options.defaultTimeoutMs;
  let stopped: StopReason | undefined;
  let socket: Socket | undefined;
  const stop = (reason: StopReason) => {
    stopped ??= reason;
    socket?.destroy();
  };
  const onAbort = () => stop('aborted');
  const timer = setTimeout(stop, Math.min(timeoutMs, MAX_TIMER_MS), 'deadline');
  context.signal.addEventListener('abort', onAbort, { once: true });
  if (context.signal.aborted) stop('aborted');
  const openSocket = () => {
    socket = new Socket();
    if (stopped !== undefined) socket.destroy();
    return socket;
  };
  let client: Client | undefined;
  let connected = false;
  try {
    if (stopped !== undefined) throw new Error('stopped before it began');
    const dial = { connectTimeoutMs: Math.min(timeoutMs, CONNECT_TIMEOUT_MS), openSocket, isReplication: options.replication === true };
    client = await connectSomehow(target, address.kind, dial);
    connected = true;
    const session = sessionOf(client);
    if (options.console !== true) await session.query(`SET statement_timeout = ${Math.min(Math.ceil(timeoutMs), MAX_TIMER_MS)}`);
    return await use(session, timeoutMs);
  } catch (thrown) {
    const writing = options.writing && connected;
    throw translatePostgresError(thrown, { target, signal: context.signal, timeoutMs, stopped, writing });
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', onAbort);
    await close(client, socket);
  }
}

interface Dial {
  readonly connectTimeoutMs: number;
  readonly openSocket: () => Socket;
  readonly isReplication: boolean;
}

/** As libpq: `prefer` falls back to no TLS. A restored cluster may lack the database `postgres`; `template1` is always there. */
async function connectSomehow(target: ConnectionTarget, kind: ServerAddress['kind'], dial: Dial): Promise<Client> {
  try {
    return await connect(target, dial);
  } catch (thrown) {
    if (target.tlsMode === 'prefer' && isTlsUnsupported(thrown)) return await connect({ ...target, tlsMode: 'disable' }, dial);
    if (kind === 'socket' && sqlStateOf(thrown) === INVALID_CATALOG_NAME) return await connect({ ...target, database: 'template1' }, dial);
    throw thrown;
  }
}

async function connect(target: ConnectionTarget, { connectTimeoutMs, openSocket, isReplication }: Dial): Promise<Client> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    password: () => passwordOf(target),
    ssl: target.tlsMode === 'disable' ? false : await tlsOptionsOf(target),
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    stream: openSocket,
    // `database`: SQL as well, and the rules of pg_hba.conf for databases.
    ...(isReplication ? { replication: 'database' } : {}),
    types: { getTypeParser: () => (value: string) => value },
  });
  client.on('error', ignoreBetweenQueries);
  try {
    await client.connect();
    return client;
  } catch (thrown) {
    await close(client, undefined);
    throw thrown;
  }
}

function passwordOf(target: ConnectionTarget): string {
  if (target.password !== undefined) return target.password;
  throw new SpokeError('POSTGRES_UNAVAILABLE', `${describeTarget(target)}: the server asks for a password and the URL holds none.`, {
    hint: 'Put it into the URL by reference: postgresql://user:${env:PGPASSWORD}@host/database',
  });
}

/** A connection that breaks also fails the query under way or the next one: that is where it is reported. */
function ignoreBetweenQueries(): void {}

function sessionOf(client: Client): Session {
  return {
    async query(sql) {
      const result = await client.query<Record<string, string | null>>(sql);
      return result.rows;
    },
  };
}

async function close(client: Client | undefined, socket: Socket | undefined): Promise<void> {
  if (client !== undefined) {
    const giveUp = Promise.withResolvers<void>();
    const timer = setTimeout(giveUp.resolve, CLOSE_TIMEOUT_MS);
    await Promise.race([client.end().catch(ignoreBetweenQueries), giveUp.promise]);
    clearTimeout(timer);
  }
  socket?.destroy();
}
