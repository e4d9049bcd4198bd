import { beforeEach, describe, expect, it } from 'vitest';
import { createRecentReads, type RecentReads } from '../../../src/adapters/common/recent-reads.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../src/domain/catalog/repository-snapshot.ts';
import type { Instant } from '../../../src/domain/time/instant.ts';

const LOCAL = 'local' as RepositoryName;
const S3 = 's3' as RepositoryName;
const SECOND = { walArchive: false, maxAgeMs: 1_000 };

let nowMs: number;
let readings: number;
let recent: RecentReads;

beforeEach(() => {
  nowMs = 5_000;
  readings = 0;
  recent = createRecentReads({ now: () => 0n as Instant, monotonicMs: () => nowMs, sleep: () => Promise.resolve() });
});

/** What it resolves with tells the readings apart. */
function read(): Promise<RepositorySnapshot> {
  readings += 1;
  return Promise.resolve({ repository: LOCAL, kind: 'local', readAt: BigInt(readings) as Instant, initialised: true, backups: [] });
}

describe('a repository that was read a moment ago', () => {
  it('is not read again for whoever takes what is that old', async () => {
    const first = await recent.unlessRecent(LOCAL, { walArchive: false }, read);
    nowMs += 1_000;
    expect(await recent.unlessRecent(LOCAL, SECOND, read)).toBe(first);
    expect(readings).toBe(1);
  });

  it.each([
    ['for whoever did not say so', LOCAL, { walArchive: false }, 0],
    ['once it is older', LOCAL, SECOND, 1_001],
    ['for another repository', S3, SECOND, 0],
    ['for its WAL, which was not read', LOCAL, { ...SECOND, walArchive: true }, 0],
  ] as const)('is read again %s', async (_why, name, options, laterMs) => {
    await recent.unlessRecent(LOCAL, { walArchive: false }, read);
    nowMs += laterMs;
    await recent.unlessRecent(name, options, read);
    expect(readings).toBe(2);
  });

  it('is as old as the beginning of the reading, not its end', async () => {
    await recent.unlessRecent(LOCAL, { walArchive: false }, () => {
      nowMs += 1_001;
      return read();
    });
    await recent.unlessRecent(LOCAL, SECOND, read);
    expect(readings).toBe(2);
  });

  it.each([
    ['succeeded', () => Promise.resolve()],
    ['failed', () => Promise.reject(new Error('half-way'))],
  ])('is read again after a change that %s', async (_how, change) => {
    await recent.unlessRecent(LOCAL, { walArchive: false }, read);
    await recent.changing(change).catch(() => undefined);
    await recent.unlessRecent(LOCAL, SECOND, read);
    expect(readings).toBe(2);
  });

  it('is read again where it was read while something changed, or the reading ended only after that', async () => {
    const late = Promise.withResolvers<void>();
    let ending: Promise<unknown> = Promise.resolve();
    await recent.changing(async () => {
      await recent.unlessRecent(LOCAL, { walArchive: false }, read);
      ending = recent.unlessRecent(S3, { walArchive: false }, async () => {
        await late.promise;
        return read();
      });
    });
    late.resolve();
    await ending;
    await recent.unlessRecent(LOCAL, SECOND, read);
    await recent.unlessRecent(S3, SECOND, read);
    expect(readings).toBe(4);
  });
});
