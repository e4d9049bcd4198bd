import { readFileSync } from 'node:fs';
import { groupMembers } from './group.ts';

const MAX_INTERVAL_MS = 5_000;
const MIN_INTERVAL_MS = 20;

/**
 * Calls `onStall` once when the group has printed nothing and its members have read and written nothing for `stallMs`.
 * Time in which this program itself did not run (a suspended machine) does not count. Where there is no /proc only
 * output counts as a sign of life.
 */
export function watchForStall(groupId: number, stallMs: number, onStall: () => void): { alive(): void; stop(): void } {
  const intervalMs = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, stallMs / 8));
  let quietMs = 0;
  let lastTick = performance.now();
  let lastCounters = '';
  const timer = setInterval(() => {
    const now = performance.now();
    quietMs += Math.min(now - lastTick, 2 * intervalMs);
    lastTick = now;
    const counters = ioCounters(groupId);
    if (counters !== lastCounters) quietMs = 0;
    lastCounters = counters;
    if (quietMs < stallMs) return;
    clearInterval(timer);
    onStall();
  }, intervalMs);
  return {
    alive() {
      quietMs = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** What the members have read and written so far: pids with their /proc/<pid>/io, compared and never looked into. */
function ioCounters(groupId: number): string {
  return (groupMembers(groupId) ?? []).map((pid) => `${pid} ${readIo(pid)}`).join('\n');
}

function readIo(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/io`, 'latin1');
  } catch {
    return '';
  }
}
