import { formatLsn, type Lsn, lsnOf, parseLsn } from '../../src/domain/postgres/lsn.ts';
import {
  formatTimelineHistory,
  type TimelineHistory,
  timelineAt,
  timelineHistoryFileName,
} from '../../src/domain/postgres/timeline-history.ts';
import { type TimelineId, timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { segmentNumberOf, segmentStartLsn, walSegmentName } from '../../src/domain/postgres/wal-segment.ts';
import { formatForPostgres, type Instant, parsePostgresTimestamp } from '../../src/domain/time/instant.ts';
import { readControl, SEGMENT_SIZE_BYTES, updateControl, writeContent } from './data-directory.ts';
import { type FakeDirectory, nodeIn } from './file-system.ts';
import type { FakeHistory, WalRecord } from './history.ts';
import type { FakeRepository } from './repository.ts';

/** What a replay needs of the world. */
export interface RecoverySurroundings {
  readonly history: FakeHistory;
  /** Where restore_command reads from; undefined where there is none. */
  readonly repository: FakeRepository | undefined;
  log(line: string): void;
}

type Settings = Readonly<Record<string, string>>;

/** Archive recovery as PostgreSQL does it: from the last restart point, record by record, to the target or the end of the WAL. */
export class FakeRecovery {
  position: Lsn;
  lastCommitTime: Instant | undefined;
  readonly path: TimelineHistory;
  readonly #directory: FakeDirectory;
  readonly #settings: Settings;
  readonly #surroundings: RecoverySurroundings;
  readonly #consistentAt: Lsn;
  readonly #fetched = new Set<bigint>();
  #saidConsistent = false;
  #last: WalRecord | undefined;

  constructor(directory: FakeDirectory, settings: Settings, surroundings: RecoverySurroundings) {
    const control = readControl(directory);
    if (control === undefined) throw new Error('recovery without pg_control');
    this.#directory = directory;
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.position = parseLsn(control.redo);
    this.#consistentAt = parseLsn(control.consistentAt);
    this.path = this.#surroundings.history.historyOf(this.#targetTimeline(control.timeline));
    this.#keepHistory(this.path);
    updateControl(directory, { state: 'in archive recovery' });
    writeContent(directory, this.position, control.timeline);
  }

  get isConsistent(): boolean {
    return this.position >= this.#consistentAt;
  }

  get hasTarget(): boolean {
    return Object.keys(this.#settings).some(
      (name) => /^recovery_target(_time|_lsn|_xid|_name)?$/.test(name) && this.#settings[name] !== '',
    );
  }

  get action(): string {
    return this.#settings['recovery_target_action'] ?? 'pause';
  }

  timeline(): TimelineId {
    return this.#last?.timeline ?? timelineAt(this.path, lsnOf(this.position - 1n));
  }

  /** Replays one segment. Says whether it goes on, stopped at the target, met the end of the WAL, or would stop too early. */
  replaySegment(): 'on' | 'stopped' | 'end of WAL' | 'no WAL' | 'inconsistent' {
    const first = this.#next();
    const segment = segmentNumberOf(first?.lsn ?? this.position, SEGMENT_SIZE_BYTES);
    if (this.#isImmediateStop()) return this.#stop('recovery stopping after reaching consistency');
    if (!this.#fetch(segment) || first === undefined) return this.#fetched.size === 0 ? 'no WAL' : 'end of WAL';
    for (
      let record = this.#next();
      record !== undefined && segmentNumberOf(record.lsn, SEGMENT_SIZE_BYTES) === segment;
      record = this.#next()
    ) {
      const before = this.#stopsBefore(record);
      if (before !== undefined) return this.#stop(before);
      this.#apply(record);
      const after = this.#isImmediateStop() ? 'recovery stopping after reaching consistency' : this.#stopsAfter(record);
      if (after !== undefined) return this.#stop(after);
    }
    if (this.isConsistent && segment % 2n === 0n) this.#restartPoint();
    return 'on';
  }

  /** Leaves recovery on a timeline of its own. */
  finish(): void {
    const { log } = this.#surroundings;
    log(`LOG:  redo done at ${formatLsn(this.#last?.lsn ?? this.position)} system usage: CPU`);
    if (this.lastCommitTime !== undefined)
      log(`LOG:  last completed transaction was at log time ${formatForPostgres(this.lastCommitTime)}`);
    const timeline = timelineIdOf(Math.max(...this.#knownTimelines(), this.path.timeline) + 1);
    log(`LOG:  selected new timeline ID: ${timeline}`);
    log('LOG:  archive recovery complete');
    this.#directory.children.delete('recovery.signal');
    const end = formatLsn(this.position);
    updateControl(this.#directory, { state: 'in production', timeline, redo: end, consistentAt: end });
    writeContent(this.#directory, this.position, timeline);
    const fork = { timeline: this.timeline(), switchLsn: this.position, reason: 'no recovery target specified' };
    const ancestors = [...this.path.ancestors.filter((ancestor) => ancestor.timeline < fork.timeline), fork];
    this.#keepHistory({ timeline, ancestors });
  }

  #keepHistory(history: TimelineHistory): void {
    const wal = nodeIn(this.#directory, 'pg_wal');
    const content = formatTimelineHistory(history);
    if (wal?.kind === 'directory' && history.timeline > 1)
      wal.children.set(timelineHistoryFileName(history.timeline), { kind: 'file', content });
  }

  /** A restart begins with the last record again, as if it were that of a checkpoint. */
  #restartPoint(): void {
    if (this.#last !== undefined)
      updateControl(this.#directory, { redo: formatLsn(this.#last.lsn), consistentAt: formatLsn(this.#last.lsn) });
  }

  #targetTimeline(current: number): TimelineId {
    const wanted = this.#settings['recovery_target_timeline'] ?? 'latest';
    if (wanted === 'current') return timelineIdOf(current);
    return wanted === 'latest' ? timelineIdOf(Math.max(current, ...this.#knownTimelines())) : timelineIdOf(Number(wanted));
  }

  #knownTimelines(): readonly number[] {
    const { repository } = this.#surroundings;
    const archived = repository?.state === 'up' ? repository.histories.map((history) => history.timeline) : [];
    const local = this.#walFiles().flatMap((name) => (/^[0-9A-F]{8}\.history$/.test(name) ? [Number.parseInt(name.slice(0, 8), 16)] : []));
    return [...archived, ...local, 1];
  }

  #walFiles(): readonly string[] {
    const wal = nodeIn(this.#directory, 'pg_wal');
    return wal?.kind === 'directory' ? [...wal.children.keys()] : [];
  }

  #next(): WalRecord | undefined {
    return this.#surroundings.history.records.find(
      (record) => record.lsn >= this.position && timelineAt(this.path, record.lsn) === record.timeline,
    );
  }

  /** From the archive first, from pg_wal second; the newest timeline that began in the segment or before it first. */
  #fetch(segment: bigint): boolean {
    if (this.#fetched.has(segment)) return true;
    const { repository, log } = this.#surroundings;
    for (const name of this.#namesOf(segment)) {
      const found = repository?.fetch(name);
      if (found === 'delivered') {
        log(`LOG:  restored log file "${name}" from archive`);
        this.#fetched.add(segment);
        return true;
      }
      if (found !== undefined) log(`P00  ${found.complaint}`);
      if (this.#walFiles().includes(name)) {
        this.#fetched.add(segment);
        return true;
      }
    }
    return false;
  }

  #namesOf(segment: bigint): readonly string[] {
    const end = segmentStartLsn(segment + 1n, SEGMENT_SIZE_BYTES);
    const forks = this.path.ancestors;
    const timelines = [...forks.map((fork) => fork.timeline), this.path.timeline].filter((_timeline, index) => {
      const begin = forks[index - 1]?.switchLsn;
      return begin === undefined || begin < end;
    });
    return timelines.reverse().map((timeline) => walSegmentName(timeline, segment, SEGMENT_SIZE_BYTES));
  }

  #apply(record: WalRecord): void {
    this.position = record.endLsn;
    this.#last = record;
    if (record.kind === 'commit') this.lastCommitTime = record.time;
    writeContent(this.#directory, this.position, record.timeline);
    if (!this.isConsistent || this.#saidConsistent) return;
    this.#saidConsistent = true;
    this.#surroundings.log(`LOG:  consistent recovery state reached at ${formatLsn(this.position)}`);
  }

  #isImmediateStop(): boolean {
    return this.#settings['recovery_target'] === 'immediate' && this.isConsistent;
  }

  #stop(line: string): 'stopped' | 'inconsistent' {
    this.#surroundings.log(`LOG:  ${line}`);
    if (!this.isConsistent) {
      this.#surroundings.log('FATAL:  requested recovery stop point is before consistent recovery point');
      return 'inconsistent';
    }
    return 'stopped';
  }

  #inclusive(): boolean {
    return this.#settings['recovery_target_inclusive'] !== 'false';
  }

  /** recoveryStopsBefore in xlogrecovery.c */
  #stopsBefore(record: WalRecord): string | undefined {
    const { recovery_target_lsn: lsn, recovery_target_time: time, recovery_target_xid: xid } = this.#settings;
    if (lsn !== undefined && !this.#inclusive() && record.lsn >= parseLsn(lsn))
      return `recovery stopping before WAL location (LSN) "${formatLsn(record.lsn)}"`;
    if (record.kind !== 'commit') return undefined;
    const said = `recovery stopping before commit of transaction ${record.xid}, time ${formatForPostgres(record.time)}`;
    if (xid !== undefined && !this.#inclusive() && BigInt(xid) === record.xid) return said;
    if (time === undefined) return undefined;
    const target = parsePostgresTimestamp(time);
    return (this.#inclusive() ? record.time > target : record.time >= target) ? said : undefined;
  }

  /** recoveryStopsAfter in xlogrecovery.c */
  #stopsAfter(record: WalRecord): string | undefined {
    const { recovery_target_lsn: lsn, recovery_target_name: name, recovery_target_xid: xid } = this.#settings;
    if (record.kind === 'restore point' && name === record.name)
      return `recovery stopping at restore point "${record.name}", time ${formatForPostgres(record.time)}`;
    if (lsn !== undefined && this.#inclusive() && record.lsn >= parseLsn(lsn))
      return `recovery stopping after WAL location (LSN) "${formatLsn(record.lsn)}"`;
    if (record.kind === 'commit' && xid !== undefined && this.#inclusive() && BigInt(xid) === record.xid)
      return `recovery stopping after commit of transaction ${record.xid}, time ${formatForPostgres(record.time)}`;
    return undefined;
  }
}
