import { describe, expect, it } from 'vitest';
import { parseCronPattern } from '../../../../src/domain/schedule/cron-pattern.ts';

function faultOf(expression: string): string | undefined {
  const parsed = parseCronPattern(expression);
  return parsed.kind === 'refused' ? parsed.fault : undefined;
}

describe('a cron expression', () => {
  it.each([
    '* * * * *',
    '0 2 * * *',
    '*/15 8-18/2 * * mon-fri',
    '0,30 0 1,15 JAN,jul *',
    '59 23 31 12 *',
    '0 0 * * 7',
    '0 0 * * sun',
    // Every fourth year, but due.
    '0 0 29 2 *',
    '0 0 31 2,3 *',
    // With seconds.
    '*/10 * * * * *',
    '30 0 2 * * *',
  ])('may be %s', (expression) => {
    expect(faultOf(expression)).toBeUndefined();
  });

  it.each([
    ['', 'fields'],
    ['* * * *', 'it has 4 fields'],
    ['* * * * * * *', 'it has 7 fields'],
    ['60 * * * * *', 'second'],
    ['@daily', 'fields'],
    ['60 * * * *', 'minute'],
    ['* 24 * * *', 'hour'],
    ['* * 0 * *', 'day of the month'],
    ['* * 32 * *', 'day of the month'],
    ['* * * 13 *', 'month'],
    ['* * * * 8', 'day of the week'],
    ['*/0 * * * *', 'minute'],
    ['5/10 * * * *', 'minute'],
    ['30-10 * * * *', 'minute'],
    ['1,,2 * * * *', 'minute'],
    ['-1 * * * *', 'minute'],
    ['* * * * fry', 'day of the week'],
    ['mon * * * *', 'minute'],
    ['0 0 1 * mon', 'both restricted'],
    ['0 2 31 2 *', 'never due'],
    ['0 2 30 2 *', 'never due'],
    ['0 2 31 4,6,9,11 *', 'never due'],
  ])('may not be "%s"', (expression, words) => {
    expect(faultOf(expression)).toContain(words);
  });
});
