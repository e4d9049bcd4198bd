import { SpokeError } from '../../errors.ts';
import { type ConnectionTarget, describeTarget } from './connection-target.ts';

/** Why we ended the connection ourselves. */
export type StopReason = 'deadline' | 'aborted';

export interface FailureCircumstances {
  readonly target: ConnectionTarget;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly stopped: StopReason | undefined;
  /** Whether a question was under way that changes something: its outcome is unknown when time runs out. */
  readonly writing: boolean;
}

/** SQLSTATEs that say "not now" or "not you" rather than "that was wrong" (PostgreSQL documentation, appendix A). */
const UNAVAILABLE_STATES = /^(08...|28...|57P01|57P02|57P03|57P05|53300|3D000)$/;
const QUERY_CANCELED = '57014';
const INSUFFICIENT_PRIVILEGE = '42501';

/** The SQLSTATE of what `pg` threw; undefined where the server did not answer. */
export function sqlStateOf(thrown: unknown): string | undefined {
  const code = propertyOf(thrown, 'code');
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && propertyOf(thrown, 'severity') !== undefined ? code : undefined;
}

/** True where the server answered that it speaks no TLS. */
export function isTlsUnsupported(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === 'The server does not support SSL connections';
}

/** What `pg` threw, in our words. Holds host, port, database and user, never the password. */
export function translatePostgresError(thrown: unknown, circumstances: FailureCircumstances): SpokeError {
  if (thrown instanceof SpokeError) return thrown;
  const { target, signal, stopped } = circumstances;
  const where = describeTarget(target);
  const sqlState = sqlStateOf(thrown);
  const details = { host: target.host, port: target.port, database: target.database, user: target.user, sqlState };
  if (stopped === 'aborted') {
    if (signal.reason instanceof SpokeError) return signal.reason;
    return new SpokeError('CANCELLED', `${where}: cancelled.`, { details });
  }
  if (stopped === 'deadline' || sqlState === QUERY_CANCELED) {
    const code = circumstances.writing ? 'TIMED_OUT' : 'POSTGRES_UNAVAILABLE';
    return new SpokeError(code, `${where}: no answer within ${circumstances.timeoutMs} ms.`, { details, cause: thrown });
  }
  const options = { details, cause: thrown, ...hintFor(sqlState, target, messageOf(thrown)) };
  const message = `${where}: ${messageOf(thrown)}`;
  if (sqlState === undefined || UNAVAILABLE_STATES.test(sqlState)) return new SpokeError('POSTGRES_UNAVAILABLE', message, options);
  return new SpokeError('POSTGRES_FAILED', `${message} (SQLSTATE ${sqlState})`, options);
}

function hintFor(sqlState: string | undefined, target: ConnectionTarget, message: string): { hint?: string } {
  if (sqlState?.startsWith('28')) return { hint: 'Check user and password in the configuration, and pg_hba.conf on the server.' };
  if (sqlState === '3D000') return { hint: 'Name an existing database in the URL, for example: postgres' };
  if (sqlState === '57P03') return { hint: 'The server is starting or stopping. Wait, then try again.' };
  if (sqlState === '53300') return { hint: 'The server has no connection left. Raise max_connections, or end idle sessions.' };
  if (sqlState === INSUFFICIENT_PRIVILEGE && /must be superuser/.test(message)) return { hint: 'Name a superuser in the URL for this.' };
  if (sqlState === INSUFFICIENT_PRIVILEGE)
    return { hint: `As a superuser: ${grantFor(message)} TO "${target.user.replaceAll('"', '""')}"` };
  if (sqlState !== undefined) return { hint: 'Correct what the server complains of; its log holds the statement.' };
  return {};
}

/** The statement that gives the right that PostgreSQL missed. */
function grantFor(message: string): string {
  const routine = /permission denied for function (\w+)/.exec(message)?.[1];
  if (routine !== undefined) return `GRANT EXECUTE ON FUNCTION ${routine}`;
  const parameter = /permission denied to set parameter "([^"]+)"/.exec(message)?.[1];
  return parameter === undefined ? 'GRANT the right named above' : `GRANT ALTER SYSTEM ON PARAMETER ${parameter}`;
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === '') return thrown.errors.map(messageOf).join('; ');
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function propertyOf(thrown: unknown, name: string): string | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const value: unknown = Reflect.get(thrown, name);
  return typeof value === 'string' ? value : undefined;
}
