import type { EventSink, RunEvent } from './events.ts';

/** Fields that every line about a run has. */
export interface LogFields {
  readonly cluster: string;
  readonly host: string;
}

/** JSON lines on stderr through pino, for --verbose and for journald. */
export async function logSink(fields: LogFields): Promise<EventSink> {
  const { pino } = await import('pino');
  const logger = pino(
    { base: fields, formatters: { level: (level) => ({ level }) }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return (event) => {
    const { level, message, detail } = logLineOf(event);
    logger[level]({ run_id: event.runId, ...detail }, message);
  };
}

/** What of an event is logged. Pure. */
export function logLineOf(event: RunEvent): {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  detail: Record<string, unknown>;
} {
  switch (event.kind) {
    case 'run-started':
      return { level: 'info', message: event.resumed ? 'run resumed' : 'run started', detail: { job: event.title } };
    case 'plan-made':
      return { level: 'info', message: 'plan made', detail: { steps: event.steps.map((step) => step.id) } };
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
