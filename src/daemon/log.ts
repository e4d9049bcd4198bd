import { describeTrigger } from '../domain/schedule/trigger.ts';
import { formatInstantUtc } from '../domain/time/instant.ts';
import type { LogLine } from '../telemetry/log.ts';
import type { DaemonEvent } from './events.ts';

/** What of an event is logged; undefined where it says nothing new. Pure. */
export function logLineOfDaemon(event: DaemonEvent): LogLine | undefined {
  switch (event.kind) {
    case 'standing-by':
      return { level: 'info', message: 'standing by', detail: { cluster: event.cluster } };
    case 'in-office':
      return { level: 'info', message: 'in office: this daemon acts on the cluster', detail: { cluster: event.cluster } };
    case 'office-lost':
      return { level: 'warn', message: event.message, detail: { cluster: event.cluster } };
    case 'run-due':
      return { level: 'info', message: `due: ${event.run.kind}, ${event.run.reason}`, detail: runDetail(event) };
    case 'run-begun':
      return {
        level: 'info',
        message: `${event.run.resumes === undefined ? 'begun' : 'resumed'}: ${event.run.kind}`,
        detail: { ...runDetail(event), run_id: event.runId },
      };
    case 'run-ended':
      return endOf(event);
    case 'passed-over':
      return {
        level: 'warn',
        message: `passed over: ${event.passed.schedule}, ${event.passed.count} times until ${formatInstantUtc(event.passed.occurrence, { fraction: 'none' })}: ${event.passed.reason}`,
        detail: { cluster: event.cluster, repository: event.passed.repository },
      };
    case 'observing-failed':
      return {
        level: 'error',
        message: event.message,
        detail: { cluster: event.cluster, code: event.code, retry_after_ms: event.retryAfterMs },
      };
    case 'archive-changed':
      return {
        level: event.state === 'healthy' ? 'info' : 'warn',
        message: `archive of repository ${event.repository}: ${event.described}`,
        detail: { cluster: event.cluster, repository: event.repository, state: event.state },
      };
    case 'archive-looked':
      return undefined;
    default:
      return logLineOfItself(event);
  }
}

/** Of what is about the daemon and not about a cluster. */
function logLineOfItself(
  event: Extract<DaemonEvent, { readonly kind: 'clock-jumped' | 'configuration-loaded' | 'configuration-refused' | 'stopping' | 'note' }>,
): LogLine {
  switch (event.kind) {
    case 'clock-jumped':
      return { level: 'warn', message: `the clock jumped, or the machine slept: ${event.seconds.toFixed(1)} s`, detail: {} };
    case 'configuration-loaded':
      return { level: 'info', message: 'configuration loaded', detail: { clusters: event.clusters, changed: event.changed } };
    case 'configuration-refused':
      return { level: 'error', message: `the new configuration is refused, the old one stays in force: ${event.message}`, detail: {} };
    case 'stopping':
      return { level: 'info', message: `stopping: ${event.running} runs have ${event.graceSeconds} s to end`, detail: {} };
    case 'note':
      return { level: event.level === 'warning' ? 'warn' : 'info', message: event.message, detail: { cluster: event.cluster } };
  }
}

function endOf({ cluster, run, end }: Extract<DaemonEvent, { readonly kind: 'run-ended' }>): LogLine {
  const { runId, outcome, error } = end;
  const why = error === undefined ? '' : `: ${error.message}. Next: ${error.hint}`;
  return {
    level: outcome === 'succeeded' ? 'info' : outcome === 'cancelled' ? 'warn' : 'error',
    message: `${run.kind} ${outcome}${why}`,
    detail: { ...runDetail({ cluster, run }), run_id: runId, ...(error === undefined ? {} : { code: error.code }) },
  };
}

function runDetail({ cluster, run }: Pick<Extract<DaemonEvent, { readonly kind: 'run-due' }>, 'cluster' | 'run'>) {
  return { cluster, type: run.type, repositories: run.repositories, trigger: describeTrigger(run.trigger) };
}
