import { describe, expect, it } from 'vitest';
import { createCopyProgress } from '../../../src/adapters/native/backup/progress.ts';

function follow(estimate: Parameters<typeof createCopyProgress>[1]) {
  const percents: number[] = [];
  const progress = createCopyProgress({ onProgress: ({ percent }) => percent !== undefined && percents.push(percent) }, estimate);
  return { progress, percents };
}

describe('how far a copy is', () => {
  it('is told by what is stored where an earlier backup tells how much that will be, whatever is reported ahead of it', () => {
    const { progress, percents } = follow({ databaseBytes: 4_000_000n, storedBytes: 1_000_000n });
    for (let chunk = 0; chunk < 50; chunk += 1) {
      progress.stored(20_000);
      if (chunk === 3) progress.line('3906/3906 kB (100%), 0/1 tablespace');
    }
    progress.complete();
    expect(percents.slice(0, 4)).toEqual([2, 4, 6, 8]);
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(percents.length).toBeGreaterThan(40);
  });

  it('is told by what pg_basebackup reports where nothing else is known, and never falls', () => {
    const { progress, percents } = follow(undefined);
    progress.stored(1000);
    for (const line of [
      '   250/1000 kB (25%), 0/1 tablespace',
      '   500/1000 kB (50%), 0/1 tablespace',
      '   400/2000 kB (20%), 0/1 tablespace',
    ]) {
      progress.line(line);
      progress.stored(1000);
    }
    progress.complete();
    expect(percents[0]).toBe(25);
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  });
});
