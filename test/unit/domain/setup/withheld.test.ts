import { describe, expect, it } from 'vitest';
import { replicationSettings, settingChanges, tunedSettings } from '../../../../src/domain/setup/server-settings.ts';
import { followedSettings, withheldChanges } from '../../../../src/domain/setup/withheld.ts';

const GIB = 1024n ** 3n;
const connections = (value: string) => ({ name: 'max_connections', value, bootValue: '100' });
const MACHINE = { memoryBytes: Number(16n * GIB), cores: 4 };

/** What the set-up would make of a server with that max_connections, which is PostgreSQL's own. */
const raised = settingChanges([connections('100')], tunedSettings(MACHINE));

describe('a setting that no standby may have lower than its primary', () => {
  it('is not raised on the primary before it is on every standby, else replay would stop there', () => {
    const standbys = [
      { node: 'b', settings: [connections('200')] },
      { node: 'c', settings: [connections('199')] },
      { node: 'd', settings: [connections('100')] },
    ];
    const [withheld, ...others] = withheldChanges(raised, { standbys, slots: [] });
    expect(withheld).toMatchObject({ name: 'max_connections', why: expect.stringContaining('replay would stop on c, d') });
    expect(withheld?.why).toContain('spoke-backup setup replica c --apply');
    expect(others).toEqual([]);
    expect(withheldChanges(raised, { standbys: standbys.slice(0, 1), slots: [] })).toEqual([]);
  });

  it.each([
    ['100', '300', '300'],
    ['100', '150', '200'],
    ['100', '200', '200'],
    ['250', '300', '300'],
    ['250', '200', undefined],
  ])('of %s on a standby whose primary has %s becomes %s', (own, ofPrimary, wanted) => {
    const needs = [...tunedSettings(MACHINE), ...followedSettings([connections(ofPrimary)])];
    expect(settingChanges([connections(own)], needs).map(({ value }) => value)).toEqual(wanted === undefined ? [] : [wanted]);
  });
});

describe('the bound of slots', () => {
  const bound = settingChanges(
    [{ name: 'max_slot_wal_keep_size', value: '-1', unit: 'MB', bootValue: '-1' }],
    replicationSettings({ othersConnect: false, keepMib: 8192 }),
  );

  it('is set where there is none, and left where somebody has set one', () => {
    expect(bound).toMatchObject([{ name: 'max_slot_wal_keep_size', value: '8192MB' }]);
    const own = [{ name: 'max_slot_wal_keep_size', value: '100', unit: 'MB', bootValue: '-1' }];
    expect(settingChanges(own, replicationSettings({ othersConnect: false, keepMib: 8192 }))).toEqual([]);
  });

  it('is not set while a slot holds more, which would be lost at the next checkpoint', () => {
    const slots = [{ name: 'b' }, { name: 'c', retainedBytes: 8n * GIB + 1n }];
    expect(withheldChanges(bound, { standbys: [], slots })).toMatchObject([
      { name: 'max_slot_wal_keep_size', why: expect.stringContaining('slot c') },
    ]);
    expect(withheldChanges(bound, { standbys: [], slots: [{ name: 'c', retainedBytes: 8n * GIB }] })).toEqual([]);
  });
});
