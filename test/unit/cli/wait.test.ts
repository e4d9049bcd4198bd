import { describe, expect, it } from 'vitest';
import { waitMsOf } from '../../../src/cli/wait.ts';

describe('--wait', () => {
  it.each([
    [undefined, undefined],
    [true, Infinity],
    ['0s', 0],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
  ] as const)('%s is %s ms', (wait, expected) => {
    expect(waitMsOf(wait)).toBe(expected);
  });

  it.each(['90', '', '-1s', '1.5h', 's', '20261122T211628Z-backup-k3f9'])('takes %j for no duration', (wait) => {
    expect(() => waitMsOf(wait)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
