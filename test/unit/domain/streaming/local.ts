import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { walSegmentName } from '../../../../src/domain/postgres/wal-segment.ts';
import { tailKey } from '../../../../src/domain/streaming/layout.ts';
import type { LocalSegment, LocalWal, TailObject } from '../../../../src/domain/streaming/local-wal.ts';
import { at, lsnIn, SEGMENT_SIZE_BYTES, tli } from '../recovery/world.ts';

/** A segment that has come as a whole; written at second 10 n + 10, as in the world of recovery. */
export function whole(segment: number, timeline = 1): LocalSegment {
  return { ...part(segment, SEGMENT_SIZE_BYTES, timeline), isWhole: true, endLsn: lsnIn(segment + 1) };
}

/** The beginning of one. */
export function part(segment: number, bytes: number, timeline = 1): LocalSegment {
  return {
    name: walSegmentName(tli(timeline), BigInt(segment), SEGMENT_SIZE_BYTES),
    timeline: tli(timeline),
    segmentNumber: BigInt(segment),
    isWhole: false,
    writtenBytes: bytes,
    endLsn: lsnIn(segment, bytes),
    lastRecordLsn: lsnIn(segment, Math.max(0, bytes - 40)),
    writtenAt: at(segment * 10 + 10),
  };
}

export function local(...segments: readonly LocalSegment[]): LocalWal {
  const systemIdentifier = parseSystemIdentifier('7300000000000000001');
  return { at: at(200), systemIdentifier, segmentSizeBytes: SEGMENT_SIZE_BYTES, segments, histories: [] };
}

export function object(segment: number, timeline = 1, isWhole = true): TailObject {
  const { name } = part(segment, 0, timeline);
  const key = tailKey(name, isWhole, '.zst');
  return { key, segment: name, timeline: tli(timeline), isWhole, modifiedAt: at(segment * 10 + 10) };
}
