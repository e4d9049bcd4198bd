import { describe, expect, it } from 'vitest';
import { observationsOf } from '../../../src/daemon/observations.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { ArchiveAssessment } from '../../../src/domain/health/assess-archive.ts';
import type { HealthFinding } from '../../../src/domain/health/finding.ts';
import type { DueRun } from '../../../src/domain/schedule/due-run.ts';
import { instantOfMillis } from '../../../src/domain/time/instant.ts';

const LOCAL = 'local' as RepositoryName;
const OCCURRENCE = instantOfMillis(Date.parse('2026-11-22T02:00:00Z'));
const RUN: DueRun = {
  ...{ kind: 'backup', type: 'full', repositories: [LOCAL], reason: 'it is time' },
  trigger: { kind: 'schedule', name: 'daily-full', occurrence: OCCURRENCE },
};

function looked(findings: readonly HealthFinding[], state: 'healthy' | 'failing' = 'healthy') {
  const archive = state === 'healthy' ? { state } : { state, lastError: 'no space' };
  const assessment = {
    repositories: [{ repository: LOCAL, archive }],
    findings,
    backupsDue: [],
    disk: { kind: 'unknown' },
    streamingWell: [],
  } as unknown as ArchiveAssessment;
  return observationsOf({ kind: 'archive-looked', cluster: 'main', assessment });
}

const FAILING: HealthFinding = {
  ...{ code: 'archive-failing', severity: 'critical', repository: LOCAL, message: 'WAL does not reach local' },
  ...{ evidence: [], cause: 'no space', nextCommand: 'df -h /srv' },
};

describe('what people are told of', () => {
  it('is a run that failed, with its error and what to type, under the name of its schedule and repository', () => {
    const error = { code: 'DISK_FULL', message: 'the repository is full', hint: 'Free space.' };
    const [seen, ...more] = observationsOf({
      kind: 'run-ended',
      cluster: 'main',
      run: RUN,
      end: { runId: 'r1', outcome: 'failed', error },
    });
    expect(more).toEqual([]);
    expect(seen).toMatchObject({ cluster: 'main', subject: 'daily-full local', state: 'failing', code: 'DISK_FULL', next: 'Free space.' });
  });

  it('is the end of that, when the next run of the same schedule into the same repository succeeds', () => {
    const failed = observationsOf({ kind: 'run-ended', cluster: 'main', run: RUN, end: { runId: 'r1', outcome: 'failed' } });
    const good = observationsOf({ kind: 'run-ended', cluster: 'main', run: RUN, end: { runId: 'r2', outcome: 'succeeded' } });
    expect(good).toContainEqual(expect.objectContaining({ topic: failed[0]?.topic, subject: failed[0]?.subject, state: 'well' }));
  });

  it('is not a run that somebody cancelled', () => {
    expect(observationsOf({ kind: 'run-ended', cluster: 'main', run: RUN, end: { runId: 'r1', outcome: 'cancelled' } })).toEqual([]);
  });

  it('is a run that was missed, until the same job has succeeded', () => {
    const passed = { schedule: 'daily-full', repository: LOCAL, occurrence: OCCURRENCE, count: 3, reason: 'nobody ran' };
    const missed = observationsOf({ kind: 'passed-over', cluster: 'main', passed });
    const good = observationsOf({ kind: 'run-ended', cluster: 'main', run: RUN, end: { runId: 'r2', outcome: 'succeeded' } });
    expect(missed).toHaveLength(1);
    expect(good).toContainEqual(expect.objectContaining({ topic: 'missed-run', subject: missed[0]?.subject, state: 'well' }));
  });

  it('is an archive that fails, and that it is healthy again, as one and the same thing', () => {
    const [failing] = looked([FAILING], 'failing').filter(({ state }) => state === 'failing');
    expect(failing).toMatchObject({ topic: 'health', code: 'archive-failing', next: 'df -h /srv' });
    expect(looked([])).toContainEqual(expect.objectContaining({ topic: 'health', subject: failing?.subject, state: 'well' }));
  });

  it('is a breached recovery point objective as a topic of its own', () => {
    const missed: HealthFinding = { ...FAILING, code: 'rpo-missed' };
    const states = (findings: readonly HealthFinding[]) =>
      looked(findings)
        .filter(({ topic }) => topic === 'rpo')
        .map(({ state }) => state);
    expect(states([missed])).toEqual(['failing']);
    expect(states([])).toEqual(['well']);
  });

  it('is nothing that is only a warning', () => {
    expect(looked([{ ...FAILING, severity: 'warning' }]).filter(({ state }) => state === 'failing')).toEqual([]);
  });
});
