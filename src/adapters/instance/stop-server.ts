import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../../errors.ts';
import type { FileOwner, RunningServer } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { errnoOf, ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { lookAt } from './identity.ts';
import { findRunningServer } from './running-server.ts';

const DEFAULT_TIMEOUT_MS = 120_000;
const POLL_MS = 50;
/** So that pg_ctl's own limit ends it first and it can say why. */
const GRACE_MS = 5_000;

export interface ServerStop {
  readonly dataDirectory: string;
  readonly binDirectory: string;
  readonly owner: FileOwner;
  readonly mode: 'fast' | 'immediate';
}

/**
 * pg_ctl stop; where postmaster.pid is gone, the signal that pg_ctl would send. Returns once no trace of the server is left:
 * backends may outlive their postmaster for a moment. Throws TIMED_OUT, POSTGRES_FAILED, CANCELLED.
 */
export async function stopServer(server: ServerStop, runner: ProcessRunner, context: OperationContext): Promise<void> {
  const realPath = await translating(`find ${server.dataDirectory}`, () => ifPresent(realpath(server.dataDirectory)));
  const found = realPath === undefined ? undefined : await lookAt(realPath);
  if (realPath === undefined || found?.kind !== 'directory') return;
  const { identity } = found;
  const timeoutMs = context.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  const running = await findRunningServer({ realPath, identity }, runner);
  if (running === undefined) return;
  const complaint =
    running.evidence === 'postmaster.pid' ? await pgCtlStop(server, timeoutMs, runner, context) : signalServer(server, running);
  for (;;) {
    const left = await findRunningServer({ realPath, identity }, runner);
    if (left === undefined) return;
    if (context.signal.aborted) throw cancelled(context.signal);
    if (complaint !== undefined && !/does not shut down/.test(complaint)) throw failedStop(server, complaint);
    if (performance.now() > deadline) throw timedOut(server, left, timeoutMs);
    await delay(POLL_MS);
  }
}

/** What pg_ctl complained of; undefined where it was content. */
async function pgCtlStop(
  server: ServerStop,
  timeoutMs: number,
  runner: ProcessRunner,
  context: OperationContext,
): Promise<string | undefined> {
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  const result = await runner.run({
    file: join(server.binDirectory, 'pg_ctl'),
    argv: ['stop', '-D', server.dataDirectory, '-m', server.mode, '-w', '-t', String(seconds)],
    cwd: '/',
    user: { uid: server.owner.uid, gid: server.owner.gid },
    signal: context.signal,
    timeoutMs: timeoutMs + GRACE_MS,
  });
  if (result.exitCode === 0) return undefined;
  return result.stderrTail.trim() || result.stdout.trim() || `pg_ctl ended with exit status ${result.exitCode}`;
}

/** SIGINT is a fast shutdown, SIGQUIT an immediate one (PostgreSQL documentation, "Shutting Down the Server"). */
function signalServer(server: ServerStop, running: RunningServer): string | undefined {
  if (running.pid === undefined) return undefined;
  try {
    process.kill(running.pid, server.mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    return undefined;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ESRCH') return undefined;
    return `pid ${running.pid} cannot be signalled: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}

function timedOut(server: ServerStop, left: RunningServer, timeoutMs: number): SpokeError {
  const message = `The server in ${server.dataDirectory} did not stop within ${timeoutMs} ms (seen by: ${left.evidence}).`;
  return new SpokeError('TIMED_OUT', message, {
    details: { dataDirectory: server.dataDirectory, ...left },
    hint: `Stop it by hand: pg_ctl stop -D ${server.dataDirectory} -m ${server.mode}`,
  });
}

function failedStop(server: ServerStop, complaint: string): SpokeError {
  const details = { dataDirectory: server.dataDirectory };
  return new SpokeError('POSTGRES_FAILED', `The server in ${server.dataDirectory} could not be stopped: ${complaint}`, { details });
}

function cancelled(signal: AbortSignal): SpokeError {
  return signal.reason instanceof SpokeError ? signal.reason : new SpokeError('CANCELLED', 'Stopping the server was cancelled.');
}
