import { describe, expect, it } from 'vitest';
import type { HeldWal } from '../../../../src/domain/health/archive-facts.ts';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { at, LOCAL, S3, segments } from '../recovery/world.ts';
import { closedBut, facts, primary, repository, states, wal } from './facts.ts';

/** Everything is archived as far as PostgreSQL knows, and nothing waits for it. */
const ACKNOWLEDGED = primary({ archived: 19, waits: [] });

function held(segmentNumbers: readonly number[], sinceSecond: number, more: Partial<HeldWal> = {}): HeldWal {
  const waiting = segmentNumbers.map((segment) => ({ file: wal(segment), since: at(sinceSecond) }));
  return { repository: S3, queue: { count: waiting.length, waiting }, from: LOCAL, ...more };
}

describe('WAL that was acknowledged when it was durable on this machine', () => {
  const home = repository(LOCAL, closedBut());

  it('is no gap elsewhere while it is on its way, and no lag for a moment', () => {
    const snapshots = [home, repository(S3, segments(1, 17))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [held([18, 19], 195)] }))).toMatchObject({
      [LOCAL]: { state: 'healthy' },
      [S3]: { state: 'healthy' },
    });
  });

  it('is lag since it was left for the shipper, in the one repository that waits for it', () => {
    const snapshots = [home, repository(S3, segments(1, 9))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [held([10, 11, 12], 110)] }))).toMatchObject({
      [LOCAL]: { state: 'healthy' },
      [S3]: { state: 'lagging', seconds: 90, segments: 10 },
    });
  });

  it('is said to wait for the daemon, where it does', () => {
    const behind = facts({ primary: ACKNOWLEDGED, snapshots: [home, repository(S3, segments(1, 9))], held: [held([10, 11, 12], 110)] });
    const findings = assessArchive(behind).findings.filter(({ code }) => code === 'archive-lagging');
    expect(findings).toMatchObject([{ repository: S3, nextCommand: 'spoke-backup daemon' }]);
  });

  it('is no gap where nobody noted that it has to be brought on, as long as it is where it is brought from', () => {
    const snapshots = [home, repository(S3, closedBut(5, 6))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [held([], 0)] }))).not.toMatchObject({ [S3]: { state: 'gap' } });
  });

  it('is a gap where both lack it', () => {
    const snapshots = [repository(LOCAL, closedBut(6)), repository(S3, closedBut(5, 6, 7))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [held([], 0)] }))[S3]).toMatchObject({
      state: 'gap',
      firstMissing: wal(6),
      lastMissing: wal(6),
      segments: 1,
    });
  });

  it('is a gap where it is brought from nowhere', () => {
    const snapshots = [home, repository(S3, closedBut(5))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots }))[S3]).toMatchObject({ state: 'gap', firstMissing: wal(5) });
  });

  it('waits in a spool where every repository is elsewhere', () => {
    const { from: _none, ...inSpool } = held([18, 19], 100);
    const snapshots = [repository(S3, segments(1, 17))];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [inSpool] }))[S3]).toMatchObject({
      state: 'lagging',
      seconds: 100,
      segments: 2,
    });
  });

  it('does not come while the repository takes nothing, which is said with the reason', () => {
    const snapshots = [home, repository(S3, segments(1, 17))];
    const pushErrors = [{ repository: S3, message: 'the bucket is gone' }];
    expect(states(facts({ primary: ACKNOWLEDGED, snapshots, held: [held([18, 19], 100)], pushErrors }))).toMatchObject({
      [LOCAL]: { state: 'healthy' },
      [S3]: { state: 'failing', since: at(100), lastError: 'the bucket is gone' },
    });
  });
});
