import { execFileSync } from 'node:child_process';
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

/** The file systems that are mounted below `directory`, innermost first. Empty where there is no /proc (macOS). */
export function mountsBelow(directory: string): string[] {
  const points = readText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''));
  return points.filter((point) => point.startsWith(`${directory}/`)).reverse();
}

/** The kernel writes a space in a path as `\040`. */
function unescaped(path: string): string {
  return path.replaceAll(/\\(\d{3})/g, (_escape, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Takes mounts away at once, whoever still uses them. What others than root cannot take away stays. */
export function unmountAll(points: readonly string[]): void {
  for (const point of points) {
    try {
      execFileSync('umount', ['--lazy', point], { stdio: 'ignore' });
    } catch {
      // Whoever removes the directory says what is in its way.
    }
  }
}

/** Tells a process from every other one that sees this machine's files, also from a later one with the same number. */
export function lifeOf(pid: number): string {
  // The start time: the 22nd field, the 20th after the name in parentheses.
  const startedAt = readText(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[19];
  return `${pid} ${startedAt ?? ''} ${readLink('/proc/self/ns/pid')}`;
}

/** Whether the process of a `lifeOf` is known to be dead. Of one in another container nothing is known. */
export function isDead(life: string): boolean {
  const pid = Number.parseInt(life, 10);
  const inSight = life.endsWith(` ${readLink('/proc/self/ns/pid')}`);
  return inSight && (lifeOf(pid) !== life || !exists(pid));
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Empty where it cannot be read. */
export function readText(path: string): string {
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
