import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatLsn, isLsnText, lsnOf, parseLsn } from '../../../../src/domain/postgres/lsn.ts';

describe('an LSN', () => {
  it('is the two hexadecimal halves of a 64-bit position', () => {
    expect(parseLsn('0/3000060')).toBe(0x3000060n);
    expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n);
    expect(formatLsn(parseLsn('1/a'))).toBe('1/A');
  });

  it('keeps every digit of every 64-bit position', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), (offset) => {
        expect(parseLsn(formatLsn(lsnOf(offset)))).toBe(offset);
      }),
    );
  });

  it.each(['', '0', '0/', '/0', '0/123456789', 'g/0', ' 0/0', '0/0 ', '0x1/0', '0/0/0'])('refuses %j', (text) => {
    expect(isLsnText(text)).toBe(false);
    expect(() => parseLsn(text)).toThrow(RangeError);
  });

  it('refuses positions outside 64 bits', () => {
    expect(() => lsnOf(-1n)).toThrow(RangeError);
    expect(() => lsnOf(1n << 64n)).toThrow(RangeError);
  });
});
