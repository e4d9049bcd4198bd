import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { BouncerDatabaseState, BouncerObservation, BouncerPool, PgBouncerControl, PgBouncerReader } from '../../ports/pgbouncer.ts';
import { onlyRow, optionalText, textOf } from './row.ts';
import { type Session, type TextRow, withSession } from './session.ts';

const READING = { defaultTimeoutMs: 10_000, writing: false, console: true };
const WRITING = { defaultTimeoutMs: 30_000, writing: true, console: true };
/** For taking a PAUSE back. */
const RESUME_TIMEOUT_MS = 10_000;

/** The admin console of PgBouncer: PostgreSQL's protocol, of which it knows simple queries alone, and commands of its own. */
export function createPgBouncerConsole(): PgBouncerReader & PgBouncerControl {
  return {
    observe: (adminUrl, context) => withSession(urlOf(adminUrl), context, READING, observe),
    async pause(adminUrl, database, context) {
      const send = (session: Session) => pause(session, database);
      try {
        await withSession(urlOf(adminUrl), context, WRITING, send);
      } catch (thrown) {
        await takeBack(adminUrl, database);
        throw thrown;
      }
    },
    resume: (adminUrl, database, context) => withSession(urlOf(adminUrl), context, WRITING, (session) => resume(session, database)),
    evict: (adminUrl, database, context) => withSession(urlOf(adminUrl), context, WRITING, (session) => evict(session, database)),
    reload: (adminUrl, context) => withSession(urlOf(adminUrl), context, WRITING, async (session) => void (await session.query('RELOAD'))),
  };

  /** PgBouncer goes on waiting for transactions to end when whoever gave the PAUSE has gone; where it is away nothing is paused. */
  async function takeBack(adminUrl: string, database: string): Promise<void> {
    const context: OperationContext = { signal: AbortSignal.timeout(RESUME_TIMEOUT_MS), timeoutMs: RESUME_TIMEOUT_MS };
    await withSession(urlOf(adminUrl), context, WRITING, (session) => resume(session, database)).catch(() => undefined);
  }
}

function urlOf(url: string) {
  return { kind: 'url', url } as const;
}

async function observe(session: Session): Promise<BouncerObservation> {
  const version = textOf(onlyRow(await session.query('SHOW VERSION')), 'version');
  return { version, databases: await databasesOf(session), pools: (await session.query('SHOW POOLS')).map(poolOf) };
}

async function databasesOf(session: Session): Promise<readonly BouncerDatabaseState[]> {
  return (await session.query('SHOW DATABASES')).map((row) => ({
    name: textOf(row, 'name'),
    ...optionalText('host', row, 'host'),
    port: Number(textOf(row, 'port')),
    paused: row['paused'] === '1',
    disabled: row['disabled'] === '1',
  }));
}

function poolOf(row: TextRow): BouncerPool {
  const count = (column: string) => Number(textOf(row, column));
  return {
    database: textOf(row, 'database'),
    user: textOf(row, 'user'),
    clientsActive: count('cl_active'),
    clientsWaiting: count('cl_waiting'),
    serversActive: count('sv_active'),
    serversIdle: count('sv_idle'),
    maxWaitSeconds: count('maxwait'),
  };
}

async function pause(session: Session, database: string): Promise<void> {
  if ((await stateOf(session, database)).paused) return;
  await session.query(`PAUSE ${identifier(database)}`);
}

async function resume(session: Session, database: string): Promise<void> {
  if ((await stateOf(session, database)).paused) await session.query(`RESUME ${identifier(database)}`);
}

async function evict(session: Session, database: string): Promise<void> {
  const { name } = await stateOf(session, database);
  await session.query(`KILL ${identifier(name)}`);
}

async function stateOf(session: Session, database: string): Promise<BouncerDatabaseState> {
  const found = (await databasesOf(session)).find(({ name }) => name === database);
  if (found !== undefined) return found;
  throw new SpokeError('POSTGRES_FAILED', `PgBouncer offers no database ${JSON.stringify(database)}`, {
    hint: 'Write its configuration: spoke-backup setup pgbouncer --apply',
  });
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
