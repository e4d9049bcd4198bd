import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { lostWal } from '../../../../src/domain/topology/lost-wal.ts';
import { lsn, MIB, NOON, OTHERS, OURS } from './facts.ts';

const SEGMENT = 16n * MIB;
const ONE = timelineIdOf(1);

function archive(firstSegment: bigint, lastSegment: bigint, more: Partial<RepositorySnapshot> = {}): RepositorySnapshot {
  return {
    repository: 'local' as RepositoryName,
    kind: 'local',
    readAt: NOON,
    initialised: true,
    systemIdentifier: OURS,
    backups: [],
    walArchive: { segmentSizeBytes: Number(SEGMENT), ranges: [{ timeline: ONE, firstSegment, lastSegment }], histories: [] },
    ...more,
  };
}

const loss = (more: Partial<Parameters<typeof lostWal>[0]>) =>
  lostWal({ systemIdentifier: OURS, timeline: ONE, candidateLsn: lsn(SEGMENT * 3n + 100n), lastKnown: [], snapshots: [], ...more });

describe('the WAL that a failover loses', () => {
  it('is from what the candidate has received to the furthest that is known of the old primary', () => {
    const lost = loss({ lastKnown: [lsn(SEGMENT * 4n), lsn(SEGMENT * 3n + 900n)] });
    expect(lost).toMatchObject({ fromLsn: SEGMENT * 3n + 100n, toLsn: SEGMENT * 4n, bytes: SEGMENT - 100n, isExact: false, held: [] });
  });

  it('is exact once the old primary has stopped', () => {
    expect(loss({ stoppedAt: lsn(SEGMENT * 3n + 400n) })).toMatchObject({ bytes: 300n, isExact: true });
  });

  it('is in a repository as far as that has it without a hole from the candidate on', () => {
    const lost = loss({ lastKnown: [lsn(SEGMENT * 6n)], snapshots: [archive(1n, 4n)] });
    expect(lost.held).toEqual([{ repository: 'local', untilLsn: SEGMENT * 5n, bytes: SEGMENT * 2n - 100n }]);
  });

  it('is not in a repository whose archive goes on only behind a hole, nor in one of another cluster', () => {
    const snapshots = [archive(4n, 9n), archive(1n, 9n, { systemIdentifier: OTHERS })];
    expect(loss({ lastKnown: [lsn(SEGMENT * 6n)], snapshots }).held).toEqual([]);
  });

  it('was at least as long as what a repository has of it', () => {
    expect(loss({ snapshots: [archive(1n, 4n)] })).toMatchObject({ toLsn: SEGMENT * 5n, isExact: false });
  });

  it('ends in the middle of a segment where that was streamed', () => {
    const segments = [{ timeline: ONE, segmentNumber: 3n, endLsn: lsn(SEGMENT * 3n + 5000n) }];
    const tail = { systemIdentifier: OURS, segmentSizeBytes: Number(SEGMENT), segments, histories: [], at: NOON };
    expect(loss({ snapshots: [archive(1n, 2n, { tail })] })).toMatchObject({ toLsn: SEGMENT * 3n + 5000n, held: [{ bytes: 4900n }] });
  });

  it('holds no more than is lost, and never ends before it begins', () => {
    const position = fc.bigInt(SEGMENT, SEGMENT * 20n);
    fc.assert(
      fc.property(position, fc.array(position, { maxLength: 3 }), fc.bigInt(0n, 20n), fc.bigInt(0n, 5n), (from, known, first, count) => {
        const lost = loss({ candidateLsn: lsn(from), lastKnown: known.map(lsn), snapshots: [archive(first, first + count)] });
        expect(lost.toLsn).toBeGreaterThanOrEqual(lost.fromLsn);
        expect(lost.bytes).toBe(lost.toLsn - lost.fromLsn);
        for (const { bytes } of lost.held) expect(bytes > 0n && bytes <= lost.bytes).toBe(true);
      }),
    );
  });
});
