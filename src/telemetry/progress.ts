import { formatBytes } from '../domain/bytes.ts';
import { formatDuration } from '../domain/time/duration.ts';
import type { Progress } from '../ports/operation.ts';
import type { EventSink, RunEvent } from './events.ts';

const LINE_EVERY_MS = 10_000;
const ERASE_LINE = '\r\u001b[K';

/** Where progress is printed; `live` where a line can be drawn over. */
export interface ProgressTarget {
  write(text: string): void;
  readonly live: boolean;
  readonly columns: number;
  nowMs(): number;
}

/** One line a step: drawn over on a terminal, else printed when it begins, every ten seconds, and when it ends. */
export function progressSink(target: ProgressTarget): EventSink {
  let lastLineMs = 0;
  const print = (line: string) => target.write(`${target.live ? ERASE_LINE : ''}${line}\n`);
  const draw = (line: string) => {
    if (target.live) target.write(`${ERASE_LINE}${line.slice(0, Math.max(10, target.columns - 1))}`);
    else if (target.nowMs() - lastLineMs >= LINE_EVERY_MS) {
      lastLineMs = target.nowMs();
      target.write(`${line}\n`);
    }
  };
  return (event) => {
    if (event.kind === 'step-started') {
      lastLineMs = target.nowMs();
      if (target.live) draw(`… ${event.step.title}`);
      else print(`… [${event.index + 1}/${event.count}] ${event.step.title}`);
    } else if (event.kind === 'step-progress') {
      draw(`… ${event.step.title}: ${describeProgress(event.progress)}`);
    } else {
      const line = lineOf(event);
      if (line !== undefined) print(line);
    }
  };
}

function lineOf(event: RunEvent): string | undefined {
  switch (event.kind) {
    case 'run-started':
      return `${event.resumed ? 'resuming ' : ''}run ${event.runId}`;
    case 'step-finished':
      return `✔ ${event.step.title} (${formatDuration(event.seconds)})`;
    case 'step-failed':
      return `✖ ${event.step.title}: ${event.message}`;
    case 'step-retried':
      return `↻ ${event.step.title}: ${event.message}; trying again in ${formatDuration(event.delayMs / 1000)}`;
    case 'note':
      return `${event.level === 'warning' ? '▲' : '·'} ${event.message}`;
    case 'plan-made':
    case 'run-finished':
    case 'step-started':
    case 'step-progress':
      return undefined;
  }
}

/** For example `copy 34 % 1.2 GiB of 3.3 GiB`. */
export function describeProgress({ phase, percent, doneBytes, totalBytes, position }: Progress): string {
  const parts = [phase];
  if (percent !== undefined) parts.push(`${percent.toFixed(0)} %`);
  if (doneBytes !== undefined)
    parts.push(totalBytes === undefined ? formatBytes(doneBytes) : `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`);
  if (position !== undefined) parts.push(position);
  return parts.join(' ');
}
