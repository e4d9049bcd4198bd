import { signalGroup, terminateGroup } from './group.ts';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const GRACE_ON_SIGNAL_MS = 2_000;

/** The groups that must not outlive this program. One set for the whole program, as there is one set of signal handlers. */
const liveGroups = new Set<number>();
let isEnding = false;

/** From now until `release` the group is ended when this program is. */
export function guardGroup(groupId: number): { release(): void } {
  if (liveGroups.size === 0) installHooks();
  liveGroups.add(groupId);
  return {
    release() {
      if (liveGroups.delete(groupId) && liveGroups.size === 0 && !isEnding) removeHooks();
    },
  };
}

/** Does not resolve while `onSignal` ends this program: whoever waits for a child must not take its end for an event of its own. */
export async function unlessEnding(): Promise<void> {
  if (isEnding) await new Promise<never>(() => {});
}

function installHooks(): void {
  process.on('exit', killAll);
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
}

function removeHooks(): void {
  process.off('exit', killAll);
  for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
}

function killAll(): void {
  for (const groupId of liveGroups) signalGroup(groupId, 'SIGKILL');
}

/**
 * Where somebody else listens for the signal, how to end is theirs to decide (they cancel, and `exit` catches the rest).
 * Where nobody does, a listener of ours has switched off the default, which is to die: so end the groups, then die of it.
 */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1 || isEnding) return;
  isEnding = true;
  const groups = [...liveGroups];
  void Promise.all(groups.map((groupId) => terminateGroup(groupId, GRACE_ON_SIGNAL_MS))).finally(() => {
    killAll();
    removeHooks();
    process.kill(process.pid, signal);
  });
}
