import { describe, expect, it } from 'vitest';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { explainGap } from '../../../../src/domain/recovery/gap-cause.ts';
import { formatLsn } from '../../../../src/domain/postgres/lsn.ts';
import { recoveryWindows } from '../../../../src/domain/recovery/window.ts';
import { backup, history, lsnIn, S3, segments, snapshot } from './world.ts';

describe('what is told of a gap', () => {
  const local = snapshot({ backups: [backup('A', 2), backup('B', 9)], wal: [...segments(1, 5), ...segments(8, 12)] });

  function explained(here: RepositorySnapshot, ...others: readonly RepositorySnapshot[]) {
    const [gap] = recoveryWindows(here).gaps;
    if (gap === undefined || here.walArchive === undefined) throw new Error('there is no gap');
    return explainGap(gap, here.walArchive, [here, ...others]);
  }

  const s3 = (...wal: ReturnType<typeof segments>[]) => ({ ...snapshot({ wal: wal.flat() }), repository: S3 });

  it('is how many segments it lacks, and that nobody has them', () => {
    expect(explained(local)).toEqual({ segments: 2, cause: { kind: 'nowhere' } });
    expect(explained(local, s3(segments(1, 6), segments(9, 12)))).toEqual({ segments: 2, cause: { kind: 'nowhere' } });
  });

  it('is which other repository has all of it', () => {
    expect(explained(local, s3(segments(6, 7)))).toEqual({ segments: 2, cause: { kind: 'elsewhere', repositories: [S3] } });
  });

  it('is that the end of a timeline was not archived before a standby was promoted', () => {
    // Timeline 2 begins within segment 7; of timeline 1, segment 6 never came.
    const forked = snapshot({
      backups: [backup('A', 2), backup('B', 9, { timeline: 2 })],
      wal: [...segments(1, 5), ...segments(7, 12, 2)],
      histories: [history(2, `1\t${formatLsn(lsnIn(7, 4096))}\tno recovery target specified`)],
    });
    expect(explained(forked)).toEqual({ segments: 1, cause: { kind: 'before fork' } });
    expect(explained(forked, s3(segments(6, 7)))).toEqual({ segments: 1, cause: { kind: 'elsewhere', repositories: [S3] } });
  });
});
