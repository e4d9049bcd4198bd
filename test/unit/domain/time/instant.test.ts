import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addMicros,
  formatAge,
  formatForPostgres,
  formatInstantIso,
  formatInstantLocal,
  formatInstantUtc,
  type Instant,
  instantOfMicros,
  instantOfMillis,
  instantOfSeconds,
  parsePostgresTimestamp,
  secondsBetween,
  toEpochMillis,
} from '../../../../src/domain/time/instant.ts';

// 2026-11-22 14:05:00.123456 UTC: date -u -d '2026-11-22 14:05:00' +%s
const AFTERNOON = instantOfMicros(1_795_356_300_123_456n);
const FIRST = -62_135_596_800_000_000n;
const LAST = 253_402_300_799_999_999n;
const anyInstant = fc.bigInt({ min: FIRST, max: LAST }).map(instantOfMicros);

describe('an instant', () => {
  it('prints for people, for machines and for PostgreSQL', () => {
    expect(formatInstantUtc(AFTERNOON)).toBe('2026-11-22 14:05:00.123456 UTC');
    expect(formatInstantIso(AFTERNOON)).toBe('2026-11-22T14:05:00.123456Z');
    expect(formatForPostgres(AFTERNOON)).toBe('2026-11-22 14:05:00.123456+00');
  });

  it('prints a fraction where there is one, or as asked', () => {
    const whole = instantOfSeconds(1_795_356_300);
    expect(formatInstantUtc(whole)).toBe('2026-11-22 14:05:00 UTC');
    expect(formatInstantUtc(whole, { fraction: 'micros' })).toBe('2026-11-22 14:05:00.000000 UTC');
    expect(formatInstantUtc(AFTERNOON, { fraction: 'none' })).toBe('2026-11-22 14:05:00 UTC');
    expect(formatInstantIso(whole)).toBe('2026-11-22T14:05:00.000000Z');
  });

  it('before 1970 counts backwards without losing its microseconds', () => {
    expect(formatInstantUtc(instantOfMicros(-1n))).toBe('1969-12-31 23:59:59.999999 UTC');
    expect(formatInstantUtc(instantOfMicros(-1_000_001n))).toBe('1969-12-31 23:59:58.999999 UTC');
    expect(formatInstantIso(instantOfMicros(FIRST))).toBe('0001-01-01T00:00:00.000000Z');
  });

  it('comes back from the text for PostgreSQL, at every microsecond of ten thousand years', () => {
    fc.assert(
      fc.property(anyInstant, (instant) => {
        expect(parsePostgresTimestamp(formatForPostgres(instant))).toBe(instant);
        expect(parsePostgresTimestamp(formatInstantUtc(instant, { fraction: 'micros' }))).toBe(instant);
        expect(parsePostgresTimestamp(formatInstantUtc(instant))).toBe(instant);
      }),
    );
  });

  it('has the date that JavaScript has, at every microsecond of ten thousand years', () => {
    fc.assert(
      fc.property(anyInstant, (instant) => {
        expect(formatInstantIso(instant).slice(0, 23)).toBe(new Date(toEpochMillis(instant)).toISOString().slice(0, 23));
      }),
    );
  });

  it('sorts as text as it does as a number', () => {
    fc.assert(
      fc.property(anyInstant, anyInstant, (left, right) => {
        expect(formatInstantIso(left) < formatInstantIso(right)).toBe(left < right);
      }),
    );
  });

  it('has milliseconds rounded towards the past', () => {
    expect(toEpochMillis(instantOfMicros(1999n))).toBe(1);
    expect(toEpochMillis(instantOfMicros(-1n))).toBe(-1);
    expect(toEpochMillis(instantOfMillis(1_795_356_300_123))).toBe(1_795_356_300_123);
  });

  it('tells the seconds from one to another with the fraction', () => {
    expect(secondsBetween(AFTERNOON, addMicros(AFTERNOON, 1_500_000n))).toBe(1.5);
    expect(secondsBetween(addMicros(AFTERNOON, 1n), AFTERNOON)).toBe(-0.000001);
  });

  it('prints as the wall clock of a zone', () => {
    expect(formatInstantLocal(AFTERNOON, 'Europe/Paris')).toBe('2026-11-22 15:05:00 CET');
    expect(formatInstantLocal(AFTERNOON, 'UTC')).toBe('2026-11-22 14:05:00 UTC');
    expect(formatInstantLocal(instantOfSeconds(1_795_302_000), 'Europe/Paris')).toBe('2026-11-22 00:00:00 CET');
    expect(() => formatInstantLocal(AFTERNOON, 'Mars/Base')).toThrow(RangeError);
  });
});

describe('a timestamp of PostgreSQL', () => {
  it.each([
    ['2026-11-22 14:05:00.123456+00', AFTERNOON],
    ['2026-11-22 15:05:00.123456+01', AFTERNOON],
    ['2026-11-22 19:35:00.123456+05:30', AFTERNOON],
    ['2026-11-22 10:35:00.123456-03:30', AFTERNOON],
    ['2026-11-22 14:05:00.123456 UTC', AFTERNOON],
    ['2026-11-22 14:05:00.5+00', instantOfMicros(1_795_356_300_500_000n)],
    ['2026-11-22 14:05:00+00', instantOfSeconds(1_795_356_300)],
    ['2026-11-22 14:05:00 GMT', instantOfSeconds(1_795_356_300)],
  ] as [string, Instant][])('%j is read', (text, instant) => {
    expect(parsePostgresTimestamp(text)).toBe(instant);
  });

  it.each([
    '',
    '2026-11-22',
    '2026-11-22 14:05:00',
    '2026-11-22 14:05:00 CET',
    '2026-02-30 14:05:00+00',
    '2026-11-22 24:05:00+00',
    '2026-11-22 14:60:00+00',
    'infinity',
    '2026-11-22T14:05:00+00',
    '2026-11-22 14:05:00.1234567+00',
  ])('%j is refused', (text) => {
    expect(() => parsePostgresTimestamp(text)).toThrow(RangeError);
  });
});

describe('an age', () => {
  it.each([
    [0n, '0 s ago'],
    [59n, '59 s ago'],
    [60n, '1 m ago'],
    [3599n, '59 m ago'],
    [7200n, '2 h ago'],
    [172_799n, '47 h ago'],
    [172_800n, '2 d ago'],
    [-7200n, 'in 2 h'],
  ])('of %d seconds is told as %j', (seconds, text) => {
    expect(formatAge(addMicros(AFTERNOON, -seconds * 1_000_000n), AFTERNOON)).toBe(text);
  });
});
