import { describe, expect, it } from 'vitest';
import {
  PIN_ANNOTATION,
  type Pin,
  pinOfAnnotation,
  pinToAnnotation,
  strongestPins,
  untilOfText,
  untilToText,
} from '../../../../src/domain/retention/pin.ts';
import { ago, backupsOf, full, label, LOCAL } from './world.ts';

const pin = (until: Pin['until'], reason = 'audit'): Pin => ({ repository: LOCAL, label: label('F0001'), until, reason });

function annotated(text: string): Pin | undefined {
  const [backup] = backupsOf([full(1)]);
  return backup === undefined ? undefined : pinOfAnnotation({ ...backup, annotations: { [PIN_ANNOTATION]: text } });
}

describe('a pin as an annotation', () => {
  it.each([pin('forever'), pin(ago(-30)), pin(ago(-30), `it's "why" = ; x`)])('is the same when it is read again', (one) => {
    expect(annotated(pinToAnnotation(one))).toEqual(one);
    expect(untilOfText(untilToText(one.until))).toBe(one.until);
  });

  it('that somebody else wrote holds forever: better too long than lost', () => {
    expect(annotated('keep this one')).toEqual(pin('forever', 'this one'));
    expect(annotated('2026-13-45T00:00:00Z no such day')).toEqual(pin('forever', 'no such day'));
    expect(annotated('forever')).toEqual(pin('forever', 'forever'));
  });

  it('that was taken away is none', () => {
    expect(annotated('')).toBeUndefined();
  });
});

describe('pins of one backup from two places', () => {
  it('hold as long as the longer one', () => {
    expect(strongestPins([pin(ago(-1)), pin(ago(-2))])).toEqual([pin(ago(-2))]);
    expect(strongestPins([pin('forever'), pin(ago(-2))])).toEqual([pin('forever')]);
    expect(strongestPins([pin(ago(-2)), pin('forever')])).toEqual([pin('forever')]);
  });
});
