import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatForPostgres,
  formatInstantIso,
  formatInstantUtc,
  instantOfMicros,
  instantOfSeconds,
} from '../../../../src/domain/time/instant.ts';
import { parseInstant, type ParseInstantOptions } from '../../../../src/domain/time/parse-instant.ts';

// 2026-11-22 14:05:00 UTC, 15:05 in Paris.
const now = instantOfSeconds(1_795_356_300);
const nowhere: ParseInstantOptions = { now };
const paris: ParseInstantOptions = { now, timeZone: 'Europe/Paris' };

function utcOf(text: string, options: ParseInstantOptions): string {
  const parsed = parseInstant(text, options);
  return parsed.kind === 'instant' ? formatInstantUtc(parsed.instant) : `refused: ${parsed.message}`;
}

describe('an instant that says where it is', () => {
  it.each([
    ['2026-11-22T14:05:00Z', '2026-11-22 14:05:00 UTC'],
    ['2026-11-22t14:05:00z', '2026-11-22 14:05:00 UTC'],
    ['2026-11-22T14:05Z', '2026-11-22 14:05:00 UTC'],
    ['2026-11-22 14:05:00 UTC', '2026-11-22 14:05:00 UTC'],
    ['2026-11-22 14:05:00.123456+01', '2026-11-22 13:05:00.123456 UTC'],
    ['2026-11-22 14:05:00,5+01', '2026-11-22 13:05:00.500000 UTC'],
    ['2026-11-01 01:30:00.123456-05', '2026-11-01 06:30:00.123456 UTC'],
    ['2026-11-22 14:05:00+0530', '2026-11-22 08:35:00 UTC'],
    ['2026-11-22 14:05:00+05:30', '2026-11-22 08:35:00 UTC'],
    ['2026-11-22 14:05:00 -03:30', '2026-11-22 17:35:00 UTC'],
    ['2026-11-22 14:05:00 Europe/Paris', '2026-11-22 13:05:00 UTC'],
    ['2026-11-22T14:05:00[Europe/Paris]', '2026-11-22 13:05:00 UTC'],
    ['2026-11-22T14:05:00+01:00[Europe/Paris]', '2026-11-22 13:05:00 UTC'],
    // The clock goes back at 02:00 that night: the offset says which of the two it is.
    ['2026-11-01T01:30:00-04:00[America/New_York]', '2026-11-01 05:30:00 UTC'],
    ['2026-11-01T01:30:00-05:00[America/New_York]', '2026-11-01 06:30:00 UTC'],
    ['  2026-11-22   14:05:00Z ', '2026-11-22 14:05:00 UTC'],
    ['1969-12-31 23:59:59.999999Z', '1969-12-31 23:59:59.999999 UTC'],
  ])('%j is the same wherever it is typed, and needs no confirmation', (text, utc) => {
    for (const options of [nowhere, paris]) {
      expect(utcOf(text, options)).toBe(utc);
      expect(parseInstant(text, options)).toMatchObject({ kind: 'instant', needsConfirmation: false });
    }
  });

  it('comes back at every microsecond from what this program prints', () => {
    const anyInstant = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }).map(instantOfMicros);
    fc.assert(
      fc.property(anyInstant, (instant) => {
        for (const text of [formatInstantUtc(instant), formatInstantIso(instant), formatForPostgres(instant)])
          expect(parseInstant(text, nowhere)).toEqual({ kind: 'instant', instant, needsConfirmation: false });
      }),
    );
  });
});

describe('a wall clock time without offset or zone', () => {
  it('is read in the configured zone, and says how it was read', () => {
    expect(parseInstant('2026-11-22 14:05', paris)).toEqual({
      kind: 'instant',
      instant: instantOfSeconds(1_795_352_700),
      interpretation: '2026-11-22 13:05:00 UTC (2026-11-22 14:05:00 CET, 1 h ago)',
      needsConfirmation: false,
    });
  });

  it('is refused where no zone is configured, and told what it would be in UTC and here', () => {
    expect(parseInstant('2026-11-22 14:05:00', { now, hostTimeZone: 'America/New_York' })).toMatchObject({
      kind: 'refused',
      suggestions: ['2026-11-22 14:05:00Z', '2026-11-22 14:05:00-05:00'],
    });
    expect(parseInstant('yesterday 14:05', nowhere).kind).toBe('refused');
  });

  it('is refused in the hour that comes twice, with both instants', () => {
    expect(parseInstant('2026-10-25 02:30:00', paris)).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('comes twice in Europe/Paris'),
      suggestions: ['2026-10-25 02:30:00+02:00', '2026-10-25 02:30:00+01:00'],
    });
    expect(parseInstant('2026-10-25 02:30:00[Europe/Paris]', nowhere).kind).toBe('refused');
  });

  it('is refused in the hour that is skipped, with both instants', () => {
    expect(parseInstant('2026-03-29 02:30:00', paris)).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('is skipped in Europe/Paris'),
      suggestions: ['2026-03-29 01:30:00+01:00', '2026-03-29 03:30:00+02:00'],
    });
  });

  it('is accepted right beside such an hour', () => {
    expect(utcOf('2026-10-25 01:59:59.999999', paris)).toBe('2026-10-24 23:59:59.999999 UTC');
    expect(utcOf('2026-10-25 03:00:00', paris)).toBe('2026-10-25 02:00:00 UTC');
    expect(utcOf('2026-03-29 03:00:00', paris)).toBe('2026-03-29 01:00:00 UTC');
  });

  it('has suggestions that are themselves accepted', () => {
    for (const text of ['2026-10-25 02:30:00', '2026-03-29 02:30:00', '2026-11-22 10:00', 'nonsense']) {
      const parsed = parseInstant(text, {
        now,
        ...(text.startsWith('2026-11') ? { hostTimeZone: 'Asia/Kolkata' } : { timeZone: 'Europe/Paris' }),
      });
      if (parsed.kind !== 'refused') throw new Error(`${text} was accepted`);
      expect(parsed.suggestions.length).toBeGreaterThan(0);
      for (const suggestion of parsed.suggestions) expect(parseInstant(suggestion, nowhere).kind).toBe('instant');
    }
  });
});

describe('a phrase', () => {
  it.each([
    ['now', '2026-11-22 14:05:00 UTC'],
    ['-15m', '2026-11-22 13:50:00 UTC'],
    ['5 minutes ago', '2026-11-22 14:00:00 UTC'],
    ['1 minute ago', '2026-11-22 14:04:00 UTC'],
    ['2 h ago', '2026-11-22 12:05:00 UTC'],
    ['2h ago', '2026-11-22 12:05:00 UTC'],
    ['3 days ago', '2026-11-19 14:05:00 UTC'],
    ['yesterday 14:05', '2026-11-21 13:05:00 UTC'],
    ['Today 09:00', '2026-11-22 08:00:00 UTC'],
    ['today 09:00 UTC', '2026-11-22 09:00:00 UTC'],
    ['yesterday 23:30 Asia/Tokyo', '2026-11-21 14:30:00 UTC'],
    ['yesterday 14:05:06.5', '2026-11-21 13:05:06.500000 UTC'],
  ])('%j is understood, explained, and has to be confirmed', (text, utc) => {
    expect(utcOf(text, paris)).toBe(utc);
    expect(parseInstant(text, paris)).toMatchObject({ needsConfirmation: true, interpretation: expect.stringContaining(utc) });
  });

  it('means the day of the zone, not of UTC', () => {
    const afterMidnightInParis = instantOfSeconds(1_795_303_800);
    expect(formatInstantUtc(afterMidnightInParis)).toBe('2026-11-21 23:30:00 UTC');
    expect(utcOf('today 00:10', { now: afterMidnightInParis, timeZone: 'Europe/Paris' })).toBe('2026-11-21 23:10:00 UTC');
    expect(utcOf('yesterday 23:50', { now: afterMidnightInParis, timeZone: 'Europe/Paris' })).toBe('2026-11-21 22:50:00 UTC');
  });

  it.each(['3 fortnights ago', '5 ago', 'ago', '-m', 'tomorrow 10:00', '999999 days ago', 'yesterday', '+15m'])('%j is refused', (text) => {
    expect(parseInstant(text, paris).kind).toBe('refused');
  });
});

describe('a text that is no instant', () => {
  it.each([
    ['2026-02-30 10:00Z', /no such day or time/],
    ['2026-13-01 10:00Z', /no such day or time/],
    ['2025-02-29 10:00Z', /no such day or time/],
    ['2026-11-22 24:00Z', /no such day or time/],
    ['2026-11-22 10:61Z', /no such day or time/],
    ['2026-11-22 10:00:60Z', /no such day or time/],
    ['0000-01-01 10:00Z', /no such day or time/],
    ['2026-11-22 10:00:00.1234567Z', /7 digits/],
    ['2026-11-22', /no time/],
    ['2026-11-22 10:00 CET', /does not tell an offset/],
    ['2026-11-22 10:00 IST', /does not tell an offset/],
    ['2026-11-22 10:00 Mars/Base', /no time zone "Mars\/Base"/],
    ['2026-11-22 10:00+19', /no offset of \+19/],
    ['2026-11-22T14:05:00+03:00[Europe/Paris]', /contradicts itself/],
    ['2026-11-22 10:00 GMT+5', /does not tell an offset/],
    ['22/11/2026 10:00', /could be understood/],
    ["2026-11-22 10:00Z'; drop table x", /could be understood/],
    ['', /could be understood/],
  ])('%j is refused with the reason', (text, reason) => {
    for (const options of [nowhere, paris]) {
      const parsed = parseInstant(text, options);
      expect(parsed.kind === 'refused' ? parsed.message : 'accepted').toMatch(reason);
    }
  });

  it('never throws, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9:TZ+. -]{0,30}$/)), (text) => {
        expect(['instant', 'refused']).toContain(parseInstant(text, paris).kind);
      }),
    );
  });
});
