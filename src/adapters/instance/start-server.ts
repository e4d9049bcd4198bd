import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../../errors.ts';
import type { ServerStart } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { asUser } from './as-user.ts';
import { giveTo } from './durable-files.ts';
import { translating } from './file-error.ts';
import { lookAt } from './identity.ts';
import { readFileTail } from './file-tail.ts';
import { requireNotRunning } from './require-not-running.ts';
import { readLockFile } from './running-server.ts';
import { serverArguments } from './server-arguments.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
const LOG_TAIL_BYTES = 4_096;
const QUIT_AFTER_MS = 10_000;

/** How the postmaster ended before it lived. */
interface EarlyEnd {
  readonly reason: string;
}

/**
 * Starts `postgres` itself, in a session of its own, so that it outlives this program: the process runner would end it with us.
 * No shell and no pg_ctl: pg_ctl hands its options to a shell. Returns once postmaster.pid has the status line.
 * Throws REFUSED_SERVER_RUNNING, POSTGRES_FAILED with the log's last lines, TIMED_OUT, CANCELLED.
 */
export async function startServer(start: ServerStart, runner: ProcessRunner, context: OperationContext): Promise<void> {
  const dataDirectory = await translating(`find ${start.dataDirectory}`, () => realpath(start.dataDirectory));
  const found = await lookAt(dataDirectory);
  if (found.kind === 'directory') await requireNotRunning(dataDirectory, found.identity, runner);
  const log = await openLog(start);
  try {
    const child = await spawnServer(start, log, runner);
    const end = watch(child);
    await waitUntilAlive(child, end, { start, dataDirectory, context });
    child.unref();
  } finally {
    await log.close();
  }
}

/** Never through a symbolic link: the log may lie where the server's user can make one. */
async function openLog(start: ServerStart): Promise<FileHandle> {
  return translating(`open the server log ${start.logFile}`, async () => {
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    const log = await open(start.logFile, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    await giveTo(log, start.owner);
    return log;
  });
}

async function spawnServer(start: ServerStart, log: FileHandle, runner: ProcessRunner): Promise<ChildProcess> {
  const command = await asUser(start.owner, join(start.binDirectory, 'postgres'), serverArguments(start), runner);
  return spawn(command.file, command.argv, {
    ...command.credentials,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C', LC_ALL: 'C' },
  });
}

function watch(child: ChildProcess): { ended: EarlyEnd | undefined } {
  const state: { ended: EarlyEnd | undefined } = { ended: undefined };
  child.once('error', (error) => {
    state.ended = { reason: error.message };
  });
  child.once('exit', (code, signal) => {
    state.ended = { reason: signal === null ? `exit status ${code}` : `signal ${signal}` };
  });
  return state;
}

async function waitUntilAlive(
  child: ChildProcess,
  state: { readonly ended: EarlyEnd | undefined },
  { start, dataDirectory, context }: { start: ServerStart; dataDirectory: string; context: OperationContext },
): Promise<void> {
  const timeoutMs = context.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (state.ended !== undefined) throw await failedStart(start, state.ended);
    const lockFile = await readLockFile(join(dataDirectory, 'postmaster.pid'));
    if (lockFile?.pid === child.pid && lockFile?.status !== undefined) return;
    if (context.signal.aborted || performance.now() > deadline) {
      await endServer(child, state);
      throw context.signal.aborted ? cancelled(context.signal) : timedOut(start, timeoutMs);
    }
    await delay(POLL_MS);
  }
}

/** Fast shutdown, then immediate: a server that we started and will not use. */
async function endServer(child: ChildProcess, state: { readonly ended: EarlyEnd | undefined }): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    child.kill(signal);
    const until = performance.now() + QUIT_AFTER_MS;
    while (state.ended === undefined && performance.now() < until) await delay(POLL_MS);
    if (state.ended !== undefined) return;
  }
}

async function failedStart(start: ServerStart, end: EarlyEnd): Promise<SpokeError> {
  const logTail = await readFileTail(start.logFile, LOG_TAIL_BYTES);
  const message = `The server in ${start.dataDirectory} did not start (${end.reason}). Its log ${start.logFile} ends:\n${logTail.trimEnd()}`;
  return new SpokeError('POSTGRES_FAILED', message, { details: { dataDirectory: start.dataDirectory, logFile: start.logFile } });
}

function timedOut(start: ServerStart, timeoutMs: number): SpokeError {
  const message = `The server in ${start.dataDirectory} showed no status within ${timeoutMs} ms; it was stopped. See its log ${start.logFile}.`;
  return new SpokeError('TIMED_OUT', message, { details: { dataDirectory: start.dataDirectory, logFile: start.logFile } });
}

function cancelled(signal: AbortSignal): SpokeError {
  return signal.reason instanceof SpokeError ? signal.reason : new SpokeError('CANCELLED', 'Starting the server was cancelled.');
}
