import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScheduleStore } from '../../src/adapters/state/schedule-store.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';

const FIRST_SEEN = { 'daily-full|0 2 * * *|Etc/UTC': instantOfMicros(1_795_348_800_123_456n) };

describe('since when schedules are known', () => {
  let state: string;

  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'state-'));
  });

  afterEach(() => rmSync(state, { recursive: true }));

  it('is nothing at first, and then what was saved, to the microsecond, of that cluster alone', async () => {
    const store = createScheduleStore(state, 'main');
    expect(await store.load()).toEqual({});
    await store.save(FIRST_SEEN);
    expect(await createScheduleStore(state, 'main').load()).toEqual(FIRST_SEEN);
    expect(await createScheduleStore(state, 'other').load()).toEqual({});
  });

  it('leaves no other file than that of the cluster', async () => {
    const store = createScheduleStore(state, 'main');
    await store.save(FIRST_SEEN);
    await store.save({});
    expect(readdirSync(join(state, 'schedules'))).toEqual(['main.json']);
  });

  it.each(['', '{', 'null', '[1]', '{"daily-full": "yesterday"}'])('is nothing where the file holds %j', async (text) => {
    const store = createScheduleStore(state, 'main');
    await store.save(FIRST_SEEN);
    writeFileSync(join(state, 'schedules/main.json'), text);
    expect(await store.load()).toEqual({});
  });
});
