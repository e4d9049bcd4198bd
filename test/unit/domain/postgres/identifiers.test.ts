import { describe, expect, it } from 'vitest';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { formatTimelineHex, timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';

describe('a system identifier', () => {
  it('keeps digits that a JavaScript number would lose', () => {
    expect(parseSystemIdentifier('7300000000000000001')).toBe(7_300_000_000_000_000_001n);
    expect(parseSystemIdentifier('18446744073709551615')).toBe(0xffff_ffff_ffff_ffffn);
  });

  it.each(['', '-1', '1.5', '0x10', '18446744073709551616', ' 1', '1e3'])('is not %j', (text) => {
    expect(() => parseSystemIdentifier(text)).toThrow(RangeError);
  });
});

describe('a timeline id', () => {
  it('counts from 1 and prints in eight hexadecimal digits', () => {
    expect(formatTimelineHex(timelineIdOf(1))).toBe('00000001');
    expect(formatTimelineHex(timelineIdOf(0xffff_ffff))).toBe('FFFFFFFF');
  });

  it.each([0, -1, 1.5, 0x1_0000_0000, Number.NaN])('is not %d', (value) => {
    expect(() => timelineIdOf(value)).toThrow(RangeError);
  });
});
