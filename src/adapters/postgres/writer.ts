import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../../errors.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type { PostgresWriter } from '../../ports/postgres-server.ts';
import { quoteLiteral, quoteParameterName } from './quote.ts';
import { booleanOf, onlyRow, textOf } from './row.ts';
import { type Session, withSession } from './session.ts';
import { createSlotOf, dropSlotOf } from './statements.ts';

const POLL_MS = 20;
const OPTIONS = { defaultTimeoutMs: 60_000, writing: true };

/** Changes servers by SQL. The role needs EXECUTE on the functions it calls, and superuser for alterSystem before PostgreSQL 15. */
export function createPostgresWriter(): PostgresWriter {
  return {
    alterSystem(address, settings, context) {
      const statements = Object.entries(settings).map(([name, value]) => alterSystemStatement(name, value));
      return withSession(address, context, OPTIONS, async (session) => {
        for (const statement of statements) await session.query(statement);
      });
    },
    reloadConfiguration: (address, context) => withSession(address, context, OPTIONS, reloadConfiguration),
    checkpoint: (address, context) => withSession(address, context, OPTIONS, async (session) => void (await session.query('CHECKPOINT'))),
    createSlot: (address, slot, context) =>
      withSession(address, context, OPTIONS, async (session) => void (await session.query(createSlotOf(quoteLiteral(slot))))),
    dropSlot: (address, slot, context) =>
      withSession(address, context, OPTIONS, async (session) => void (await session.query(dropSlotOf(quoteLiteral(slot))))),
    closeWalSegment: (address, context) => withSession(address, context, OPTIONS, closeWalSegment),
    promote: (address, context) => withSession(address, context, OPTIONS, promote),
    endRecoveryAtTarget: (address, context) => withSession(address, context, OPTIONS, endRecoveryAtTarget),
  };
}

/** ALTER SYSTEM cannot run in a transaction block, so each is a statement of its own. */
export function alterSystemStatement(name: string, value: string | null): string {
  const parameter = quoteParameterName(name);
  return value === null ? `ALTER SYSTEM RESET ${parameter}` : `ALTER SYSTEM SET ${parameter} = ${quoteLiteral(value)}`;
}

async function reloadConfiguration(session: Session): Promise<void> {
  const row = onlyRow(await session.query('SELECT pg_reload_conf() AS reloaded'));
  if (!booleanOf(row, 'reloaded')) throw new SpokeError('POSTGRES_FAILED', 'pg_reload_conf() could not signal the postmaster.');
}

/**
 * An xid alone makes PostgreSQL write a commit record (RecordTransactionCommit in xact.c), and recovery to a time stops only
 * at such a record. `commitTime` is read inside the transaction: the record's own time is the same or later.
 *
 * pg_switch_wal() gives the end of the switch record, or, where the segment is still empty because somebody else switched
 * just before, the segment's start. The byte before that lies in the last closed segment either way, and the commit
 * in that one or an earlier one.
 */
async function closeWalSegment(session: Session) {
  await session.query('BEGIN');
  await session.query('SET LOCAL synchronous_commit = local');
  const commit = onlyRow(
    await session.query('SELECT pg_current_xact_id() AS xid, (extract(epoch from clock_timestamp()) * 1000000)::bigint AS at'),
  );
  await session.query('COMMIT');
  const switched = onlyRow(await session.query('SELECT pg_walfile_name(pg_switch_wal() - 1) AS segment'));
  return { segment: textOf(switched, 'segment'), commitTime: instantOfMicros(BigInt(textOf(commit, 'at'))) };
}

/** Idempotent: a server that has left recovery is promoted. */
async function promote(session: Session, timeoutMs: number): Promise<void> {
  const before = onlyRow(await session.query('SELECT pg_is_in_recovery() AS in_recovery'));
  if (!booleanOf(before, 'in_recovery')) return;
  const waitSeconds = Math.max(1, Math.floor(timeoutMs / 1000) - 1);
  const row = onlyRow(await session.query(`SELECT pg_promote(true, ${waitSeconds}) AS promoted`));
  if (booleanOf(row, 'promoted')) return;
  throw new SpokeError('TIMED_OUT', `The server was told to promote and did not leave recovery within ${waitSeconds} s.`);
}

/** pg_promote() would do as well, but the paused startup process looks for it once a second (recoveryPausesHere, xlogrecovery.c). */
async function endRecoveryAtTarget(session: Session, timeoutMs: number): Promise<void> {
  const inRecovery = async () => booleanOf(onlyRow(await session.query('SELECT pg_is_in_recovery() AS in_recovery')), 'in_recovery');
  if (!(await inRecovery())) return;
  await session.query('SELECT pg_wal_replay_resume()');
  const deadlineMs = performance.now() + timeoutMs;
  while (await inRecovery()) {
    if (performance.now() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `The server was told to end recovery and did not within ${timeoutMs / 1000} s.`);
    await delay(POLL_MS);
  }
}
