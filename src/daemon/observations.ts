import type { ArchiveAssessment } from '../domain/health/assess-archive.ts';
import type { HealthFinding } from '../domain/health/finding.ts';
import type { Observation } from '../domain/notices/notice.ts';
import { observationOfMissedRuns, observationsOfRun } from '../domain/notices/observations.ts';
import type { DueRun } from '../domain/schedule/due-run.ts';
import type { DaemonEvent } from './events.ts';

/** What people have to be told of, or that it is over. Pure. */
export function observationsOf(event: DaemonEvent): readonly Observation[] {
  switch (event.kind) {
    case 'run-ended': {
      const { runId, outcome, error } = event.end;
      return observationsOfRun({
        cluster: event.cluster,
        job: jobOf(event.run),
        runId,
        outcome,
        ...(error === undefined ? {} : { error }),
      });
    }
    case 'passed-over': {
      const { schedule, repository, occurrence, count, reason } = event.passed;
      const job = [schedule, repository].filter((part) => part !== undefined).join(' ');
      return [observationOfMissedRuns({ cluster: event.cluster, job, due: occurrence, count, why: reason })];
    }
    case 'archive-looked':
      return observationsOfArchive(event.cluster, event.assessment);
    default:
      return [];
  }
}

/** `daily-full local`: the same for each run of a schedule into a repository. */
function jobOf({ kind, repositories, trigger }: DueRun): string {
  return [trigger.kind === 'schedule' ? trigger.name : `${trigger.kind} ${kind}`, ...repositories].join(' ');
}

/** What `doctor` would call critical, one thing for each code and repository; what is no longer found is well. */
function observationsOfArchive(cluster: string, { findings, repositories, streamingWell }: ArchiveAssessment): readonly Observation[] {
  const failing = findings.filter(({ severity }) => severity === 'critical').map((finding) => ofFinding(cluster, finding));
  const subjects = new Set(failing.map(({ topic, subject }) => `${topic}|${subject}`));
  const well = repositories
    .filter(({ archive }) => archive.state === 'healthy')
    .flatMap(({ repository }) => ARCHIVE_SUBJECTS.map((code) => wellOf(cluster, 'health', `${code} ${repository}`)))
    .filter(({ topic, subject }) => !subjects.has(`${topic}|${subject}`));
  const rpo = wellOf(cluster, 'rpo', 'rpo-missed');
  const streamed = streamingWell.map(({ code, repository }) =>
    wellOf(cluster, 'health', repository === undefined ? code : `${code} ${repository}`),
  );
  return [...failing, ...well, ...streamed, ...(findings.some(({ code }) => code === 'rpo-missed') ? [] : [rpo])];
}

const ARCHIVE_SUBJECTS: readonly HealthFinding['code'][] = ['archive-failing', 'archive-gap', 'archive-lagging'];

function ofFinding(cluster: string, { code, repository, message, cause, nextCommand }: HealthFinding): Observation {
  const isRpo = code === 'rpo-missed';
  return {
    cluster,
    topic: isRpo ? 'rpo' : 'health',
    subject: isRpo || repository === undefined ? code : `${code} ${repository}`,
    state: 'failing',
    cause: `${message}: ${cause}`,
    next: nextCommand,
    code,
  };
}

function wellOf(cluster: string, topic: Observation['topic'], subject: string): Observation {
  return { cluster, topic, subject, state: 'well', cause: 'not found any more', next: `spoke-backup status --cluster ${cluster}` };
}
