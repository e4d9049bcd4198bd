import { type ChildProcess, spawn as spawnChild } from 'node:child_process';
import { closeSync } from 'node:fs';
import { SpokeError } from '../../errors.ts';
import type { ProcessRequest, ProcessResult, ProcessRunner } from '../../ports/process-runner.ts';
import { anonymousFile } from './anonymous-file.ts';
import { terminateGroup } from './group.ts';
import { type Launch, launchOf } from './launch.ts';
import { createBoundedBuffer, createLineSplitter, createTailBuffer } from './output.ts';
import { guardGroup, unlessEnding } from './registry.ts';
import { findSetpriv } from './setpriv.ts';
import { watchForStall } from './stall.ts';
import { type Connection, drain, feed } from './streams.ts';
import { findTimeout } from './timeout.ts';

const DEFAULT_MAX_STDOUT_BYTES = 64 * 1024 * 1024;
const STDERR_TAIL_BYTES = 16 * 1024;
/** Long enough for pgBackRest to stop its workers and give up its locks. */
const DEFAULT_GRACE_MS = 10_000;
/** How long a process outside of the group (a daemon that was started) may hold our pipes open after the leader is gone. */
const PIPE_WAIT_MS = 500;
/** setTimeout takes no more; longer limits are cut to this, 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Child {
  readonly process: ChildProcess;
  /** Why it could not be started. */
  readonly failed: Promise<Error>;
}

/**
 * Starts children by argument vector, each in a process group of its own, in `/` where no cwd is given.
 * `graceMs`: between SIGTERM and SIGKILL.
 */
export function createProcessRunner(options: { readonly graceMs?: number } = {}): ProcessRunner {
  const graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  return {
    async run(request) {
      throwIfAborted(request.signal);
      const launch = launchOf(request, {
        setpriv: findSetpriv(),
        timeout: request.readsOnly === true ? undefined : findTimeout(),
        graceMs,
      });
      throwIfAborted(request.signal);
      return runLaunch(request, launch, graceMs);
    },
  };
}

async function runLaunch(request: ProcessRequest, launch: Launch, graceMs: number): Promise<ProcessResult> {
  const { input, user } = request;
  const file = input === undefined ? undefined : anonymousFile(input, user);
  try {
    return await runChild(request, spawn(launch, file ?? (request.inputStream ? 'pipe' : 'ignore')), graceMs);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Listens before anything is awaited: the output of a child that ends meanwhile would be lost, and its end with it. */
async function runChild(request: ProcessRequest, child: Child, graceMs: number): Promise<ProcessResult> {
  const startedAt = performance.now();
  const groupId = child.process.pid;
  if (groupId === undefined) throw await spawnFailure(request, child);
  const guard = guardGroup(groupId);
  let connections: readonly Connection[] = [];
  let ending: Promise<boolean> | undefined;
  let fault: Error | undefined;
  const end = (thrown: unknown) => {
    fault ??= asError(thrown);
    for (const connection of connections) connection.abandon(fault);
    ending ??= terminateGroup(groupId, graceMs);
  };
  const watch = watchLimits(request, groupId, end);
  const output = collectOutput(request, child, watch.alive, end);
  const ended = (async (): Promise<ProcessResult> => {
    const [exitCode, signal] = await leaderExit(child);
    await unlessEnding();
    if (connections.length === 0) watch.stop();
    else watch.stopStall();
    const isGone = await (ending ??= terminateGroup(groupId, graceMs));
    guard.release();
    await output.finished();
    if (!isGone) fault ??= failure(request, 'left a process behind that not even SIGKILL ends', output.stderrTail());
    if (fault) throw withTail(fault, output.stderrTail());
    if (exitCode === null) throw endedBySignal(request, signal, output.stderrTail());
    return { exitCode, stdout: output.stdout(), stderrTail: output.stderrTail(), durationMs: performance.now() - startedAt };
  })();
  connections = connect(request, child, { verdict: () => verdictOf(request, ended), alive: watch.alive, fault: end });
  try {
    await Promise.allSettled([ended, ...connections.map(({ settled }) => settled)]);
    if (fault) throw withTail(fault, output.stderrTail());
    return await ended;
  } finally {
    watch.stop();
    guard.release();
  }
}

/** Connects what the caller writes and reads itself. */
function connect(
  { inputStream, consumeStdout }: ProcessRequest,
  { process: { stdin, stdout } }: Child,
  on: { readonly verdict: () => Promise<void>; readonly alive: () => void; readonly fault: (thrown: unknown) => void },
): readonly Connection[] {
  return [
    ...(inputStream && stdin ? [feed(stdin, inputStream, on.fault)] : []),
    ...(consumeStdout && stdout ? [drain(stdout, consumeStdout, on)] : []),
  ];
}

/** What somebody is told who has read all that the process wrote. */
async function verdictOf(request: ProcessRequest, ended: Promise<ProcessResult>): Promise<void> {
  const { exitCode, stderrTail } = await ended;
  if (exitCode !== 0) throw failure(request, `ended with exit code ${exitCode}`, stderrTail);
}

function spawn(launch: Launch, input: number | 'pipe' | 'ignore'): Child {
  const child = spawnChild(launch.file, [...launch.argv], {
    cwd: launch.cwd,
    env: launch.environment,
    detached: true,
    stdio: [input, 'pipe', 'pipe'],
    ...(launch.uid !== undefined && launch.gid !== undefined && { uid: launch.uid, gid: launch.gid }),
  });
  return { process: child, failed: new Promise((resolve) => child.once('error', resolve)) };
}

/** The leader's exit itself: its pipes may stay open longer, in the hands of what it started. */
function leaderExit(child: Child): Promise<[exitCode: number | null, signal: NodeJS.Signals | null]> {
  const { exitCode, signalCode } = child.process;
  if (exitCode !== null || signalCode !== null) return Promise.resolve([exitCode, signalCode]);
  return new Promise((resolve) => {
    child.process.once('exit', (exitCode, signal) => resolve([exitCode, signal]));
  });
}

/** Ends the run on the signal, at the time limit and at a stall. */
function watchLimits(request: ProcessRequest, groupId: number, end: (reason: SpokeError) => void) {
  const onAbort = () => end(cancellation(request.signal));
  request.signal.addEventListener('abort', onAbort, { once: true });
  if (request.signal.aborted) onAbort();
  const timer = setTimeout(
    () => end(timeout(request, `did not end within ${request.timeoutMs / 1000} s`)),
    Math.min(Math.max(0, request.timeoutMs), MAX_TIMER_MS),
  );
  const { stallMs } = request;
  const stall =
    stallMs === undefined
      ? undefined
      : watchForStall(groupId, stallMs, () => end(timeout(request, `printed, read and wrote nothing for ${stallMs / 1000} s`)));
  return {
    alive: () => stall?.alive(),
    /** Of a child that has ended. What it wrote may still be read, which signal and time limit bound as well. */
    stopStall: () => stall?.stop(),
    stop() {
      request.signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
      stall?.stop();
    },
  };
}

function collectOutput(request: ProcessRequest, child: Child, alive: () => void, end: (reason: SpokeError) => void) {
  const maxBytes = request.maxStdoutBytes ?? DEFAULT_MAX_STDOUT_BYTES;
  const stdout = createBoundedBuffer(maxBytes);
  const stderr = createTailBuffer(STDERR_TAIL_BYTES);
  const { onLine } = request;
  const collected = request.consumeStdout ? (['stderr'] as const) : (['stdout', 'stderr'] as const);
  const finished = collected.map((stream) => {
    const lines = onLine && createLineSplitter((line) => onLine(line, stream));
    const source = child.process[stream];
    source?.on('data', (chunk: Buffer) => {
      alive();
      lines?.push(chunk);
      if (stream === 'stderr') stderr.push(chunk);
      else if (!stdout.push(chunk)) end(failure(request, `printed more than ${maxBytes} bytes`, ''));
    });
    return new Promise<void>((resolve) => {
      const onClose = () => {
        lines?.end();
        resolve();
      };
      if (source) source.once('close', onClose);
      else onClose();
    });
  });
  return {
    stdout: () => stdout.text(),
    stderrTail: () => stderr.text(),
    async finished() {
      const timer = setTimeout(() => {
        for (const stream of collected) child.process[stream]?.destroy();
      }, PIPE_WAIT_MS);
      await Promise.all(finished);
      clearTimeout(timer);
    },
  };
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancellation(signal);
}

/** Why the caller aborted: the SpokeError that was the reason, where it was one. */
function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'The run was cancelled.', { cause: signal.reason });
}

function timeout(request: ProcessRequest, what: string): SpokeError {
  return new SpokeError('TIMED_OUT', `${request.file} ${what} and was ended.`, { details: { tool: request.file } });
}

function failure(request: ProcessRequest, what: string, stderrTail: string): SpokeError {
  return new SpokeError('TOOL_FAILED', `${request.file} ${what}.`, { details: { tool: request.file, stderrTail } });
}

/** `details.signal`: which. */
function endedBySignal(request: ProcessRequest, signal: NodeJS.Signals | null, stderrTail: string): SpokeError {
  const { code, message, details } = failure(request, `was ended by ${signal ?? 'a signal'}`, stderrTail);
  return new SpokeError(code, message, { details: { ...details, signal } });
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

function withTail(fault: Error, stderrTail: string): Error {
  if (!(fault instanceof SpokeError)) return fault;
  if (fault.code !== 'TIMED_OUT' && fault.code !== 'TOOL_FAILED') return fault;
  return new SpokeError(fault.code, fault.message, { details: { ...fault.details, stderrTail }, hint: fault.hint, cause: fault.cause });
}

async function spawnFailure(request: ProcessRequest, child: Child): Promise<SpokeError> {
  const cause = await child.failed;
  return new SpokeError('TOOL_FAILED', `${request.file} cannot be started: ${cause.message}.`, { details: { tool: request.file }, cause });
}
