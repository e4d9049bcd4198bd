import { asSpokeError } from '../../errors.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import type { ServiceNotifier } from '../../ports/service-notifier.ts';

const TIMEOUT_MS = 5_000;
const LONGEST_STATUS = 500;

export interface NotifierParts {
  readonly runner: ProcessRunner;
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of it are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Told in words what could not be said; the first time only, until it works again. */
  readonly onFault: (message: string) => void;
}

/** Tells systemd by its own `systemd-notify`, since Node has no datagrams on unix sockets. Says nothing where no NOTIFY_SOCKET is set. */
export function createServiceNotifier(parts: NotifierParts): ServiceNotifier {
  const send = sender(parts);
  return {
    watchdogIntervalMs: watchdogIntervalMs(parts),
    ready: (status) => send('READY=1', statusLine(status)),
    reloading: () => send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (status) => send('STOPPING=1', statusLine(status)),
    status: (text) => send(statusLine(text)),
    alive: () => send('WATCHDOG=1'),
  };
}

/** One after the other, in the order of the calls: a late READY=1 must not undo a STOPPING=1. */
function sender({ runner, environment, onFault }: NotifierParts): (...lines: readonly string[]) => Promise<void> {
  const socket = environment['NOTIFY_SOCKET'];
  let last = Promise.resolve();
  let isFaulty = false;
  const sendNow = async (lines: readonly string[], NOTIFY_SOCKET: string) => {
    try {
      await notify(runner, lines, NOTIFY_SOCKET);
      isFaulty = false;
    } catch (thrown) {
      if (!isFaulty) onFault(`the service manager was not told ${lines[0] ?? ''}: ${asSpokeError(thrown).message}`);
      isFaulty = true;
    }
  };
  return (...lines) => {
    if (socket === undefined || socket === '') return Promise.resolve();
    last = last.then(() => sendNow(lines, socket));
    return last;
  };
}

/** A signal of its own: also the end is told when everything else is being cancelled. */
async function notify(runner: ProcessRunner, lines: readonly string[], NOTIFY_SOCKET: string): Promise<void> {
  const signal = new AbortController().signal;
  const request = { file: 'systemd-notify', argv: lines, environment: { NOTIFY_SOCKET }, signal, timeoutMs: TIMEOUT_MS };
  const { exitCode, stderrTail } = await runner.run(request);
  if (exitCode !== 0) throw new Error(`systemd-notify ended with exit code ${exitCode}: ${stderrTail.trim()}`);
}

/** systemd reads one assignment a line. */
function statusLine(text: string): string {
  return `STATUS=${text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, LONGEST_STATUS)}`;
}

/** As sd_watchdog_enabled(3): nobody watches where another process is meant. */
function watchdogIntervalMs({ environment, pid }: NotifierParts): number | undefined {
  const [micros, watched] = [environment['WATCHDOG_USEC'], environment['WATCHDOG_PID']];
  if (micros === undefined || !/^[1-9]\d{0,15}$/.test(micros)) return undefined;
  if (watched !== undefined && watched !== '' && watched !== String(pid)) return undefined;
  return Math.max(1, Math.floor(Number(micros) / 2000));
}
