import { describe, expect, it } from 'vitest';
import type { WalArchive } from '../../../../src/domain/catalog/wal-archive.ts';
import { walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import { decideHoles, type HoleFacts } from '../../../../src/domain/streaming/decide-holes.ts';
import { at, LOCAL, S3, SEGMENT_SIZE_BYTES, segments } from '../recovery/world.ts';
import { local, part, whole } from './local.ts';

function archive(from: number, to: number, more: Partial<WalArchive> = {}): WalArchive {
  return { segmentSizeBytes: SEGMENT_SIZE_BYTES, ranges: walRangesOf(segments(from, to)), histories: [], ...more };
}

function facts(more: Partial<HoleFacts> = {}): HoleFacts {
  return {
    local: local(whole(4), whole(5), whole(6), part(7, 100)),
    archives: new Map([
      [LOCAL, archive(1, 6)],
      [S3, archive(1, 5)],
    ]),
    listedAt: at(200),
    mostBytes: 100 * SEGMENT_SIZE_BYTES,
    ...more,
  };
}

const numbers = (found: readonly { readonly segmentNumber: bigint }[]) => found.map(({ segmentNumber }) => Number(segmentNumber));

describe('segments that have been received as a whole', () => {
  it('are let go when every repository has them', () => {
    expect(numbers(decideHoles(facts()).discard)).toEqual([4, 5]);
  });

  it('fill the archive of a repository that lacks them, once the archiver has had its time', () => {
    // Segment 6 was complete at second 70.
    expect(numbers(decideHoles(facts({ listedAt: at(191) })).fill)).toEqual([6]);
    expect(numbers(decideHoles(facts({ listedAt: at(190) })).fill)).toEqual([]);
  });

  it('stay while a repository cannot be listed: unknown is not there', () => {
    const archives = new Map([
      [LOCAL, archive(1, 6)],
      [S3, undefined],
    ]);
    expect(decideHoles(facts({ archives }))).toEqual({ fill: [], discard: [], overflow: [] });
  });

  it('fill no archive of which that part was not listed', () => {
    const archives = new Map([[LOCAL, archive(7, 7, { listedFrom: 7n })]]);
    expect(decideHoles(facts({ archives }))).toEqual({ fill: [], discard: [], overflow: [] });
  });

  it('stay where they are the newest: by them it is known where to go on', () => {
    const { discard } = decideHoles(facts({ local: local(whole(4), whole(5)) }));
    expect(numbers(discard)).toEqual([4]);
  });

  it('go, oldest first, where there is no more room for what the archives lack', () => {
    const archives = new Map([[LOCAL, archive(1, 1)]]);
    expect(numbers(decideHoles(facts({ archives, mostBytes: 2 * SEGMENT_SIZE_BYTES })).overflow)).toEqual([4]);
  });
});
