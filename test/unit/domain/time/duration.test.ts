import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../../src/domain/time/duration.ts';

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

  it.each([
    ['60s', 60],
    ['30m', 1800],
    ['6h', 21_600],
    ['2d', 172_800],
    ['1h30m', 5400],
    ['0s', 0],
  ])('written as %j is so many seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', '30', 'm', '30 m', '-5m', '1.5h', '30m1h', '5w', '1h 30m', '10M'])('is not written as %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
