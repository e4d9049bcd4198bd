import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
/** A process in an uninterruptible system call outlives SIGKILL; after so long we stop waiting for it. */
const KILLED_WAIT_MS = 15_000;

interface ProcessStat {
  readonly pid: number;
  readonly state: string;
}

/** Living members of a process group as /proc tells them, zombies left out; undefined where there is no /proc. */
export function groupMembers(groupId: number): readonly number[] | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  if (!names.includes('self')) return undefined;
  const members: number[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name), groupId);
    if (stat && stat.state !== 'Z' && stat.state !== 'X') members.push(stat.pid);
  }
  return members;
}

function readStat(pid: number, groupId: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field, the name in parentheses, may hold anything, spaces and parentheses included.
  const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state !== undefined && Number(group) === groupId ? { pid, state } : undefined;
}

/** True while a member of the group lives. A zombie that nobody reaps, as in many containers, does not count. */
export function isGroupAlive(groupId: number): boolean {
  if (!signalGroup(groupId, 0)) return false;
  const members = groupMembers(groupId);
  return members === undefined || members.length > 0;
}

/** Sends a signal to every member. False where the group has none left. */
export function signalGroup(groupId: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-groupId, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Ends every member of the group: SIGTERM (and SIGCONT, so that a stopped one gets it), SIGKILL after `graceMs`.
 * Resolves once none is left, with false where one outlived SIGKILL.
 */
export async function terminateGroup(groupId: number, graceMs: number): Promise<boolean> {
  signalGroup(groupId, 'SIGTERM');
  signalGroup(groupId, 'SIGCONT');
  if (await isGoneWithin(groupId, graceMs)) return true;
  signalGroup(groupId, 'SIGKILL');
  return isGoneWithin(groupId, KILLED_WAIT_MS);
}

async function isGoneWithin(groupId: number, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (isGroupAlive(groupId)) {
    if (performance.now() >= deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}
