import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';

const PROGRAM = 'pg_receivewal';
const GRACE_MS = 5_000;
const POLL_MS = 20;

/**
 * Ends every process that receives WAL into `directory`: its path is an argument of the program, and whoever calls has the sole right to
 * act on the cluster. Nothing is found where there is no /proc; the server then refuses a second receiver, whose slot is in use.
 */
export async function endStrayReceivers(directory: string, clock: Clock, context: OperationContext): Promise<void> {
  const pids = await receiversInto(directory);
  if (pids.length === 0) return;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const pid of pids) send(pid, signal);
    const deadlineMs = clock.monotonicMs() + GRACE_MS;
    while (clock.monotonicMs() < deadlineMs) {
      if ((await receiversInto(directory)).length === 0) return;
      await clock.sleep(POLL_MS, context.signal);
    }
  }
}

async function receiversInto(directory: string): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async (pid) => ((await receivesInto(pid, directory)) ? [pid] : [])));
  return found.flat();
}

async function receivesInto(pid: number, directory: string): Promise<boolean> {
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return argv.some((word) => basename(word) === PROGRAM) && argv.includes(`--directory=${directory}`);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
