import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { ProcessFacts } from './process-facts.ts';
import { listByPs } from './ps.ts';

const HAS_PROC = existsSync('/proc/self/stat');

/** All processes that live now, dead ones that nobody has collected left out. Reads /proc, or asks ps where there is none. */
export async function listProcesses(): Promise<readonly ProcessFacts[]> {
  if (!HAS_PROC) return listByPs();
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map((name) => readProcess(Number(name))));
  return all.filter((each) => each !== undefined);
}

/** undefined where the process is gone, or dead and not yet collected by its parent. */
export async function readStartIdentity(pid: number): Promise<string | undefined> {
  if (!HAS_PROC) return (await listByPs(pid))[0]?.startIdentity;
  return (await readStatus(pid))?.startIdentity;
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
