import { type Lsn, lsnOf } from '../../src/domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../src/domain/postgres/system-identifier.ts';
import { type TimelineId, timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { rootHistory, type TimelineHistory } from '../../src/domain/postgres/timeline-history.ts';
import { segmentNumberBefore, segmentNumberOf, segmentStartLsn, walSegmentName } from '../../src/domain/postgres/wal-segment.ts';
import { addMicros, type Instant } from '../../src/domain/time/instant.ts';
import { SEGMENT_SIZE_BYTES } from './data-directory.ts';

/** A record of the WAL, as far as recovery cares. */
export interface WalRecord {
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly timeline: TimelineId;
  readonly kind: 'commit' | 'restore point' | 'switch';
  readonly time: Instant;
  readonly xid?: bigint;
  readonly name?: string;
}

const PAGE_HEADER_BYTES = 0x28n;
const RECORD_BYTES = 0x100n;
/** Four commits a segment. */
const STEP_BYTES = BigInt(SEGMENT_SIZE_BYTES) / 4n;
const SECONDS_A_COMMIT = 10n;
const MICROS = 1_000_000n;

/** All that one cluster ever wrote: the WAL of its primaries, in order. */
export class FakeHistory {
  readonly systemIdentifier: SystemIdentifier;
  readonly records: WalRecord[] = [];
  /** Of every timeline above 1. */
  readonly histories: TimelineHistory[] = [];
  timeline: TimelineId = timelineIdOf(1);
  insertLsn: Lsn;
  /** Of the last record. */
  time: Instant;
  #xid = 700n;

  constructor(systemIdentifier: bigint, time: Instant) {
    this.systemIdentifier = systemIdentifier as SystemIdentifier;
    this.time = time;
    this.insertLsn = lsnOf(segmentStartLsn(1n, SEGMENT_SIZE_BYTES) + PAGE_HEADER_BYTES);
  }

  commit(): WalRecord {
    this.time = addMicros(this.time, SECONDS_A_COMMIT * MICROS);
    return this.#write({ kind: 'commit', xid: this.#xid++ }, STEP_BYTES);
  }

  restorePoint(name: string): WalRecord {
    this.time = addMicros(this.time, MICROS);
    return this.#write({ kind: 'restore point', name }, RECORD_BYTES * 2n);
  }

  /** Closes the segment (pg_switch_wal); gives the name of the last one that is closed. Does nothing in an empty one. */
  switchSegment(): string {
    const open = segmentNumberOf(this.insertLsn, SEGMENT_SIZE_BYTES);
    if (this.insertLsn > segmentStartLsn(open, SEGMENT_SIZE_BYTES) + PAGE_HEADER_BYTES) {
      this.#write({ kind: 'switch' }, 0n);
      this.insertLsn = lsnOf(segmentStartLsn(open + 1n, SEGMENT_SIZE_BYTES) + PAGE_HEADER_BYTES);
    }
    return walSegmentName(this.timeline, segmentNumberOf(this.insertLsn, SEGMENT_SIZE_BYTES) - 1n, SEGMENT_SIZE_BYTES);
  }

  /** A standby becomes the primary here. */
  promote(): TimelineHistory {
    const child = timelineIdOf(this.timeline + 1);
    const ancestors = [
      ...this.historyOf(this.timeline).ancestors,
      { timeline: this.timeline, switchLsn: this.insertLsn, reason: 'no recovery target specified' },
    ];
    const history = { timeline: child, ancestors };
    this.histories.push(history);
    this.timeline = child;
    return history;
  }

  /** A server that went back is the primary from here on: what came after `at` on the timelines before it leads nowhere. */
  goBack(history: TimelineHistory, at: Lsn): void {
    this.histories.push(history);
    this.timeline = history.timeline;
    this.insertLsn = at;
  }

  historyOf(timeline: TimelineId): TimelineHistory {
    return this.histories.find((history) => history.timeline === timeline) ?? rootHistory(timeline);
  }

  /** The segments that are closed: a primary archives no other. */
  closedSegments(): readonly { readonly name: string; readonly closedAt: Instant }[] {
    const closed = new Map<string, Instant>();
    const open = segmentNumberOf(this.insertLsn, SEGMENT_SIZE_BYTES);
    for (const record of this.records) {
      const number = segmentNumberOf(record.lsn, SEGMENT_SIZE_BYTES);
      const isFork = this.histories.some(({ ancestors }) => isForkIn(ancestors.at(-1), record, number));
      if (number < open && !isFork) closed.set(walSegmentName(record.timeline, number, SEGMENT_SIZE_BYTES), record.time);
    }
    return [...closed].map(([name, closedAt]) => ({ name, closedAt }));
  }

  /** The segment that is being written. */
  openSegment(): string {
    return walSegmentName(this.timeline, segmentNumberOf(this.insertLsn, SEGMENT_SIZE_BYTES), SEGMENT_SIZE_BYTES);
  }

  #write(record: Pick<WalRecord, 'kind' | 'xid' | 'name'>, advanceBytes: bigint): WalRecord {
    const lsn = this.insertLsn;
    const written = { ...record, lsn, endLsn: lsnOf(lsn + RECORD_BYTES), timeline: this.timeline, time: this.time };
    this.records.push(written);
    const segment = segmentNumberOf(lsn, SEGMENT_SIZE_BYTES);
    const next = lsnOf(lsn + (advanceBytes > RECORD_BYTES ? advanceBytes : RECORD_BYTES));
    const inNext = segmentNumberBefore(lsnOf(next + RECORD_BYTES * 4n), SEGMENT_SIZE_BYTES) > segment;
    this.insertLsn = inNext ? lsnOf(segmentStartLsn(segment + 1n, SEGMENT_SIZE_BYTES) + PAGE_HEADER_BYTES) : next;
    return written;
  }
}

/** The segment in which a timeline ended is archived as .partial only; the child has it whole. */
function isForkIn(fork: TimelineHistory['ancestors'][number] | undefined, record: WalRecord, segmentNumber: bigint): boolean {
  return fork?.timeline === record.timeline && segmentNumberOf(fork.switchLsn, SEGMENT_SIZE_BYTES) === segmentNumber;
}
