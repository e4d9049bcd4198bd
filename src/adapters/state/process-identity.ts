import { readFile, readlink } from 'node:fs/promises';
import { errnoOf } from '../common/file-error.ts';

/** What tells one process from every other, also across reboots and after its pid was used again. Parts the system does not give are absent. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot (/proc/<pid>/stat, field 22). */
  readonly startTicks?: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly bootId?: string;
  /** A pid means something only in here: /proc/self/ns/pid */
  readonly pidNamespace?: string;
}

/** This process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const [startTicks, bootId, pidNamespace] = [(await readStat(process.pid))?.startTicks, await readBootId(), await readPidNamespace()];
  return {
    pid: process.pid,
    ...(startTicks === undefined ? {} : { startTicks }),
    ...(bootId === undefined ? {} : { bootId }),
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
  };
}

/** Whether a process that once was on `host` still is. `unknown` where it cannot be told from here: then it counts as alive. */
export async function isStillThere(
  known: ProcessIdentity & { readonly host: string },
  here: ProcessIdentity & { readonly host: string },
): Promise<'alive' | 'gone' | 'unknown'> {
  const sameBoot = known.bootId !== undefined && known.bootId === here.bootId;
  if (!sameBoot && known.host !== here.host) return 'unknown';
  if (!sameBoot && known.bootId !== undefined && here.bootId !== undefined) return 'gone';
  if (known.pidNamespace !== here.pidNamespace) return 'unknown';
  return (await isAlive(known)) ? 'alive' : 'gone';
}

/**
 * Whether a process certainly ran on this machine and in this container and is not there any more. Names of hosts prove
 * nothing here: two hosts may have the same.
 */
export async function isGoneFromHere(known: ProcessIdentity, here: ProcessIdentity): Promise<boolean> {
  const sameKernel = known.bootId !== undefined && known.bootId === here.bootId;
  const samePids = known.pidNamespace !== undefined && known.pidNamespace === here.pidNamespace;
  return sameKernel && samePids && !(await isAlive(known));
}

async function isAlive({ pid, startTicks }: ProcessIdentity): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EPERM') return false;
  }
  const found = await readStat(pid);
  if (found === undefined || startTicks === undefined) return true;
  return found.startTicks === startTicks && !['Z', 'X'].includes(found.state);
}

/** After the command name, which stands in brackets and may hold anything. */
async function readStat(pid: number): Promise<{ readonly state: string; readonly startTicks: string } | undefined> {
  const text = await readOrNothing(() => readFile(`/proc/${pid}/stat`, 'utf8'));
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

async function readBootId(): Promise<string | undefined> {
  return (await readOrNothing(() => readFile('/proc/sys/kernel/random/boot_id', 'utf8')))?.trim();
}

function readPidNamespace(): Promise<string | undefined> {
  return readOrNothing(() => readlink('/proc/self/ns/pid'));
}

async function readOrNothing(reading: () => Promise<string>): Promise<string | undefined> {
  try {
    return await reading();
  } catch {
    return undefined;
  }
}
