import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel } from '../../../../src/domain/catalog/base-backup.ts';
import { instantOfLabel, isNativeLabel, nextLabel, rootOfLabel } from '../../../../src/domain/native/label.ts';
import { instantOfSeconds, parsePostgresTimestamp } from '../../../../src/domain/time/instant.ts';

const at = (text: string) => parsePostgresTimestamp(`${text}+00`);

describe('the label of a backup', () => {
  it('is the second in which it began, UTC', () => {
    expect(nextLabel({ type: 'full', startTime: at('2026-11-25 02:00:03.999999'), taken: [] })).toBe('20261125-020003F');
  });

  it('of an incremental one begins with that of its full one', () => {
    const root = '20261125-020003F' as BackupLabel;
    const label = nextLabel({ type: 'incr', startTime: at('2026-11-25 08:00:02'), root, taken: [root] });
    expect(label).toBe('20261125-020003F_20261125-080002I');
    expect(rootOfLabel(label)).toBe(root);
    expect(instantOfLabel(label)).toBe(at('2026-11-25 08:00:02'));
  });

  it('is the next free second where one has begun in this one', () => {
    const taken = ['20261125-020003F', '20261125-020003F_20261125-020004I'];
    expect(nextLabel({ type: 'full', startTime: at('2026-11-25 02:00:03'), taken })).toBe('20261125-020005F');
  });

  it('is later than every other one, also where the clock of the server was set back', () => {
    const second = fc.integer({ min: 0, max: 4_000_000_000 });
    fc.assert(
      fc.property(second, fc.array(second), (now, before) => {
        const taken = before.map((one) => nextLabel({ type: 'full', startTime: instantOfSeconds(one), taken: [] }));
        const label = nextLabel({ type: 'full', startTime: instantOfSeconds(now), taken });
        expect(isNativeLabel(label)).toBe(true);
        for (const one of taken) expect(label > one).toBe(true);
      }),
    );
  });

  it.each(['', '20261125-020003', '20261325-020003F', '20261125-250003F', '../20261125-020003F', '20261125-020003F_20261125-080002D'])(
    'is not %j',
    (name) => {
      expect(isNativeLabel(name)).toBe(false);
    },
  );
});
