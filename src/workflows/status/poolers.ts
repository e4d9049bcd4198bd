import type { ClusterConfig, PgBouncerConfig } from '../../config/model.ts';
import type { Pooler, PoolerTarget } from '../../domain/pgbouncer/pooler.ts';
import { asSpokeError, type ErrorCode } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { BouncerObservation } from '../../ports/pgbouncer.ts';

/** What its console calls itself. */
const CONSOLE = 'pgbouncer';
const AWAY: readonly ErrorCode[] = ['POSTGRES_UNAVAILABLE', 'TIMED_OUT'];

/** Asks the admin console of each. None of them keeps the rest from being seen. */
export function observePoolers(
  { pgbouncer }: Pick<ClusterConfig, 'pgbouncer'>,
  ports: Pick<ReadPorts, 'setup'>,
  context: OperationContext,
): Promise<readonly Pooler[]> {
  return Promise.all(pgbouncer.map((bouncer) => observePooler(bouncer, ports, context)));
}

async function observePooler(bouncer: PgBouncerConfig, { setup }: Pick<ReadPorts, 'setup'>, context: OperationContext): Promise<Pooler> {
  const { name } = bouncer;
  try {
    return poolerOf(bouncer, await setup.bouncers.observe(await setup.secrets.bouncerAdminUrl(name), context));
  } catch (thrown) {
    const { code, message } = asSpokeError(thrown);
    if (code === 'CANCELLED' || code === 'INTERNAL') throw thrown;
    return { name, state: AWAY.includes(code) ? 'unreachable' : 'unknown', detail: message, writers: [] };
  }
}

/** Pure. */
export function poolerOf({ name, databases: configured }: PgBouncerConfig, { databases, pools }: BouncerObservation): Pooler {
  const offered = databases.filter((database) => database.name !== CONSOLE);
  const paused = offered.filter((database) => database.paused).map((database) => database.name);
  const writers = offered.flatMap((database): PoolerTarget[] =>
    configured[database.name]?.to !== 'primary' || database.host === undefined
      ? []
      : database.host.split(',').map((host) => ({ database: database.name, host, port: database.port })),
  );
  const detail = paused.length > 0 ? `${paused.join(', ')} paused, ${load(pools)}` : load(pools);
  return { name, state: paused.length > 0 ? 'paused' : 'serving', detail, writers };
}

function load(pools: BouncerObservation['pools']): string {
  const own = pools.filter(({ database }) => database !== CONSOLE);
  const sum = (count: (pool: BouncerObservation['pools'][number]) => number) => own.reduce((total, pool) => total + count(pool), 0);
  const waiting = sum(({ clientsWaiting }) => clientsWaiting);
  const longest = Math.max(0, ...own.map(({ maxWaitSeconds }) => maxWaitSeconds));
  const clients = `clients: ${sum(({ clientsActive }) => clientsActive)} active`;
  return waiting === 0 ? clients : `${clients}, ${waiting} waiting for up to ${longest} s`;
}
