import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../../harness/lab.ts';
import { JournalWatch } from './journal.ts';
import { RunningTool } from './tool.ts';

export interface Moment {
  readonly step: string;
  /** After the beginning of the step. */
  readonly delayMs?: number;
  /** SIGKILL where it is not given. */
  readonly signal?: NodeJS.Signals;
}

/** Where the program finds its configuration and keeps its runs. */
export interface Interruptible {
  readonly description: Pick<Lab['description'], 'config' | 'stateDirectory'>;
}

/** Starts the program and ends it at a moment; gives the run that was interrupted, and what was printed until then. */
export async function interruptAt(lab: Interruptible, argv: readonly string[], { step, delayMs = 0, signal = 'SIGKILL' }: Moment) {
  const watch = new JournalWatch(lab.description.stateDirectory);
  const tool = new RunningTool(argv, { config: lab.description.config });
  const run = await watch.stepBegun(step, tool);
  if (delayMs > 0) await delay(delayMs);
  tool.kill(signal);
  return { run, ...(await tool.ended) };
}

/** Moments that differ from test run to test run; a failure's name tells which it was. */
export function randomMoments(step: string, count: number, withinMs: number): readonly Moment[] {
  return Array.from({ length: count }, () => ({ step, delayMs: 1 + Math.floor(Math.random() * withinMs) }));
}
