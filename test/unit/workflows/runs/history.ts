import { addMicros, formatInstantIso, type Instant, instantOfMicros } from '../../../../src/domain/time/instant.ts';
import type { JournalEntry, RunHeader, RunId, RunOutcome, RunVerb, StoredRun } from '../../../../src/ports/run-store.ts';

export const NOW: Instant = instantOfMicros(1_795_382_188_000_000n);

/** What a test says of a run. */
export interface RunSpec {
  readonly daysAgo: number;
  readonly verb?: RunVerb;
  readonly cluster?: string;
  readonly repositories?: readonly string[];
  /** `running`: nobody wrote its end. */
  readonly outcome?: RunOutcome | 'running';
  readonly steps?: readonly string[];
}

export function runOf(spec: RunSpec, index = 0): StoredRun {
  const { daysAgo, verb = 'backup', cluster = 'main', repositories = ['local'], outcome = 'succeeded', steps = [] } = spec;
  const startedAt = addMicros(NOW, -BigInt(Math.round(daysAgo * 86_400)) * 1_000_000n);
  const seconds = formatInstantIso(startedAt).slice(0, 19).replaceAll(/[-:]/g, '');
  const runId = `${seconds}Z-${verb}-${String(index).padStart(4, '0')}` as RunId;
  const header: RunHeader = {
    ...{ runId, verb, cluster, startedAt, host: 'db1', user: 'postgres', programVersion: '0.1.0', intent: { repositories } },
    trigger: { kind: 'manual' },
  };
  const entries: JournalEntry[] = [
    { at: startedAt, kind: 'attempt', pid: 17, detail: {} },
    ...steps.map((step): JournalEntry => ({ at: startedAt, kind: 'step-started', step, detail: {} })),
    ...(outcome === 'running' ? [] : [{ at: startedAt, kind: 'run-finished', outcome, result: {} } as const]),
  ];
  return { header, entries };
}
