import type { EventSink, RunEvent } from './events.ts';

/** Fields that every line about a run has. */
export interface LogFields {
  readonly cluster: string;
  readonly host: string;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export type Log = (line: LogLine) => void;

/** JSON lines on stderr through pino, for --verbose and for journald. What is below `least` is left out. */
export async function openLog(base: Readonly<Record<string, unknown>>, least: LogLine['level'] = 'info'): Promise<Log> {
  const { pino } = await import('pino');
  const logger = pino(
    { level: least, base, formatters: { level: (level) => ({ level }) }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return ({ level, message, detail }) => logger[level](detail, message);
}

export async function logSink(fields: LogFields): Promise<EventSink> {
  return runLogSink(await openLog({ ...fields }), {});
}

/** What runs say, with `more` in each line. */
export function runLogSink(log: Log, more: Readonly<Record<string, unknown>>): EventSink {
  return (event) => {
    const { level, message, detail } = logLineOf(event);
    log({ level, message, detail: { ...more, run_id: event.runId, ...detail } });
  };
}

/** What of an event is logged. Pure. */
export function logLineOf(event: RunEvent): LogLine {
  switch (event.kind) {
    case 'run-started':
      return { level: 'info', message: event.resumed ? 'run resumed' : 'run started', detail: { job: event.title } };
    case 'plan-made':
      return planLine(event);
    case 'step-started':
      return { level: 'info', message: event.step.title, detail: { step: event.step.id } };
    case 'step-progress':
      return {
        level: 'debug',
        message: event.progress.phase,
        detail: { step: event.step.id, position: event.progress.position, percent: event.progress.percent },
      };
    case 'step-retried':
      return {
        level: 'warn',
        message: event.message,
        detail: { step: event.step.id, attempt: event.attempt, delay_ms: Math.round(event.delayMs) },
      };
    case 'step-finished':
      return { level: 'info', message: 'step finished', detail: { step: event.step.id, duration_ms: Math.round(event.seconds * 1000) } };
    case 'step-failed':
      return { level: 'error', message: event.message, detail: { step: event.step.id, code: event.code } };
    case 'note':
      return { level: event.level === 'warning' ? 'warn' : 'info', message: event.message, detail: {} };
    case 'run-finished':
      return { level: event.outcome === 'succeeded' ? 'info' : 'error', message: 'run finished', detail: { outcome: event.outcome } };
  }
}

function planLine({ steps, warnings }: Extract<RunEvent, { readonly kind: 'plan-made' }>): LogLine {
  const detail = { steps: steps.map((step) => step.id) };
  if (warnings.length === 0) return { level: 'info', message: 'plan made', detail };
  return { level: 'warn', message: `plan made, and ${warnings.join('; ')}`, detail };
}
