import type { BackupLabel, BaseBackup, RepositoryName } from '../src/domain/catalog/base-backup.ts';
import { type ArchivedSegment, walRangesOf } from '../src/domain/catalog/wal-archive.ts';
import type { RepositorySnapshot } from '../src/domain/catalog/repository-snapshot.ts';
import { recoveryWindows } from '../src/domain/recovery/window.ts';
import { lsnOf } from '../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../src/domain/postgres/timeline.ts';
import { planRetention } from '../src/domain/retention/plan-retention.ts';
import type { RetentionFacts } from '../src/domain/retention/policy.ts';
import { addMicros, type Instant, instantOfSeconds } from '../src/domain/time/instant.ts';
import type { Comparison } from './compare.ts';

const BACKUPS = 10_000;
const SEGMENTS = 1_000_000;
const SEGMENT_BYTES = 16n * 1024n * 1024n;
const SEGMENTS_A_BACKUP = SEGMENTS / BACKUPS;
const BACKUPS_A_FULL = 28;
const MICROS_PER_HOUR = 3_600_000_000n;
const NOW = instantOfSeconds(1_795_348_800);
const SYSTEM = parseSystemIdentifier('7300000000000000001');
const LOCAL = 'local' as RepositoryName;

interface LargeRepository {
  readonly backups: readonly BaseBackup[];
  readonly segments: readonly ArchivedSegment[];
  readonly json: string;
}

/** Two hundred segments are missing. */
function largeRepository(): LargeRepository {
  const backups = Array.from({ length: BACKUPS }, (_, index) => backupAt(index));
  for (const [index, backup] of backups.entries()) if (backup.type === 'incr') linkTo(backups, index);
  const segments = Array.from({ length: SEGMENTS }, (_, index) => segmentAt(index)).filter((_, index) => index % 5000 !== 17);
  const json = JSON.stringify({ backups, segments }, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return { backups, segments, json };
}

/** Beside reading the same listing as JSON, which whoever wants to decide anything has to do first. */
function besideParsing({ json }: LargeRepository): Comparison['bare'] {
  return { what: '`JSON.parse` of the same backups and segments', run: async () => seconds(() => JSON.parse(json) as unknown) };
}

/** The plan of a very large repository. */
export function retentionComparison(): Comparison {
  const repository = largeRepository();
  return {
    name: 'retention',
    goal: 3,
    ours: {
      what: 'the retention plan of 10,000 backups and 1,000,000 WAL segments, from the listed segments on',
      run: async () => seconds(() => requireSensible(plan(repository.backups, repository.segments))),
    },
    bare: besideParsing(repository),
  };
}

/** To where a very large repository reaches, and each of its gaps. */
export function windowComparison(): Comparison {
  const repository = largeRepository();
  return {
    name: 'window',
    goal: 3,
    ours: {
      what: 'the recovery windows and gaps of 10,000 backups and 1,000,000 WAL segments, from the listed segments on',
      run: async () => seconds(() => requireAllGaps(recoveryWindows(snapshotOf(repository)).gaps.length)),
    },
    bare: besideParsing(repository),
  };
}

function requireAllGaps(found: number): void {
  if (found !== SEGMENTS / 5000) throw new Error(`${found} gaps, and not the ${SEGMENTS / 5000} that were made`);
}

function snapshotOf({ backups, segments }: Pick<LargeRepository, 'backups' | 'segments'>): RepositorySnapshot {
  return {
    ...{ repository: LOCAL, kind: 'local', readAt: NOW, initialised: true, systemIdentifier: SYSTEM, postgresMajor: 17, backups },
    walArchive: { segmentSizeBytes: Number(SEGMENT_BYTES), ranges: walRangesOf(segments), histories: [] },
  };
}

function plan(backups: readonly BaseBackup[], segments: readonly ArchivedSegment[]) {
  const facts: RetentionFacts = {
    snapshot: snapshotOf({ backups, segments }),
    ...{ now: NOW, verdicts: [], clocks: [], confirmed: true },
    pins: backups
      .filter((_, index) => index % 500 === 250)
      .map(({ label }) => ({ repository: LOCAL, label, until: 'forever', reason: 'audit' })),
    own: { backups: backups.map(({ label }) => label), walFloors: [] },
  };
  return planRetention({ days: 30, requireVerified: false, maxSharePercent: 100 }, facts);
}

/** So that what is measured is the whole of it. */
function requireSensible({ backups, wal }: ReturnType<typeof plan>): void {
  const going = backups.filter(({ decision }) => decision === 'expire').length;
  if (going < BACKUPS / 2 || going === BACKUPS || !wal.some(({ decision }) => decision === 'expire'))
    throw new Error('not the plan that was meant');
}

/** One every two hours, a full one every 28. */
function backupAt(index: number): BaseBackup {
  const stopTime = addMicros(NOW, -BigInt(BACKUPS - index) * 2n * MICROS_PER_HOUR);
  const startLsn = lsnOf(BigInt(index * SEGMENTS_A_BACKUP + 10) * SEGMENT_BYTES + 40n);
  return {
    label: `${String(index).padStart(8, '0')}${index % BACKUPS_A_FULL === 0 ? 'F' : 'I'}` as BackupLabel,
    type: index % BACKUPS_A_FULL === 0 ? 'full' : 'incr',
    repository: LOCAL,
    references: [],
    ...{ systemIdentifier: SYSTEM, postgresMajor: 17, timeline: timelineIdOf(1) },
    ...{ startLsn, stopLsn: lsnOf(startLsn + SEGMENT_BYTES), startTime: stopTime, stopTime },
    ...{ databaseBytes: 1_000_000_000n, repositoryBytes: 300_000_000n, hasPageErrors: false, annotations: {} },
  };
}

/** Each needs all that came since the last full one. */
function linkTo(backups: BaseBackup[], index: number): void {
  const backup = backups[index];
  const references = backups.slice(index - (index % BACKUPS_A_FULL), index).map(({ label }) => label);
  const prior = references.at(-1);
  if (backup !== undefined && prior !== undefined) backups[index] = { ...backup, references, prior };
}

function segmentAt(index: number): ArchivedSegment {
  const archivedAt: Instant = addMicros(NOW, -BigInt(SEGMENTS - index) * 72_000_000n);
  return { timeline: timelineIdOf(1), segmentNumber: BigInt(index), archivedAt };
}

function seconds(work: () => unknown): number {
  const startedMs = performance.now();
  work();
  return (performance.now() - startedMs) / 1000;
}
