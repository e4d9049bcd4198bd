import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Everything that a run of the tests makes lies below one directory, named in this variable, and each test file has a
 * directory of its own in it, which is its TMPDIR. The same directory stands first in the file's PATH: the environment
 * of a child process is minimal, but PATH is always handed on, so a process can be traced to the file that started it.
 */
export const TEST_ROOT_VARIABLE = 'SPOKE_TEST_ROOT';

/** A process that works below a directory of the tests. */
export interface TracedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * The living processes whose working directory, arguments or environment name something below `directory`.
 * Empty where there is no /proc (macOS): nothing is traced there.
 */
export function processesBelow(directory: string): TracedProcess[] {
  const marker = `${directory}/`;
  const found: TracedProcess[] = [];
  for (const name of listDirectory('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = readText(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
    // PostgreSQL overwrites its environment with its title, but works in its data directory.
    const traces = [command, readText(`/proc/${name}/environ`), `${readLink(`/proc/${name}/cwd`)}/`];
    if (command !== '' && traces.some((trace) => trace.includes(marker))) found.push({ pid, command });
  }
  return found;
}

/** Resolves with what still lives below `directory` when nothing more goes away, or after `patienceMs`. */
export async function processesLeftBelow(directory: string, patienceMs: number): Promise<TracedProcess[]> {
  const deadline = Date.now() + patienceMs;
  let left = processesBelow(directory);
  while (left.length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    left = processesBelow(directory);
  }
  return left;
}

/** Ends processes at once; those that have gone by themselves are no error. */
export function killAll(processes: readonly TracedProcess[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has gone.
    }
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
