import { readdir, readFile, readlink } from 'node:fs/promises';

/** One living process, as far as we may look at it. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  /** Tells it from a later process with the same pid. */
  readonly startIdentity: string;
  /** Path of the program; undefined where we may not see it. */
  readonly executable?: string;
  readonly workingDirectory?: string;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}

/** All processes that live now, dead ones that nobody has collected left out. Reads /proc. */
export async function listProcesses(): Promise<readonly ProcessFacts[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map((name) => readProcess(Number(name))));
  return all.filter((each) => each !== undefined);
}

async function readProcess(pid: number): Promise<ProcessFacts | undefined> {
  const status = await readStatus(pid);
  if (status === undefined) return undefined;
  const [executable, workingDirectory, argv, environment] = await Promise.all([
    readLink(`/proc/${pid}/exe`),
    readLink(`/proc/${pid}/cwd`),
    readStrings(`/proc/${pid}/cmdline`),
    readStrings(`/proc/${pid}/environ`),
  ]);
  return {
    pid,
    ...status,
    argv,
    environment,
    ...(executable !== undefined && { executable }),
    ...(workingDirectory !== undefined && { workingDirectory }),
  };
}

/** undefined where the process is gone, or dead and not yet collected by its parent. */
export async function readStartIdentity(pid: number): Promise<string | undefined> {
  return (await readStatus(pid))?.startIdentity;
}

let bootId: Promise<string> | undefined;

/** The identity is the boot and, within it, the start in clock ticks: field 22 of /proc/<pid>/stat, see proc(5). */
async function readStatus(pid: number): Promise<{ readonly parentPid: number; readonly startIdentity: string } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The second field, the program's name in parentheses, may itself hold spaces and parentheses.
  const [state = '', parentPid = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return undefined;
  bootId ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim());
  return { parentPid: Number(parentPid), startIdentity: `${await bootId}/${rest[17] ?? ''}` };
}

async function readLink(path: string): Promise<string | undefined> {
  return readlink(path).catch(() => undefined);
}

async function readStrings(path: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\0').filter((part) => part !== '');
}
