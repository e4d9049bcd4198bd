import { describe, expect, it } from 'vitest';
import { formatDuration } from '../../../../src/domain/time/duration.ts';

describe('a duration', () => {
  it.each([
    [0, '0 ms'],
    [0.85, '850 ms'],
    [1.24, '1.2 s'],
    [12, '12 s'],
    [59.4, '59 s'],
    [59.6, '1m00s'],
    [245, '4m05s'],
    [3840, '1h04m'],
    [172_799, '47h59m'],
    [266_400, '3d02h'],
    [-245, '-4m05s'],
  ])('of %d seconds is told as %j', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
