import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createNoticeStore } from '../../../src/adapters/state/notice-store.ts';
import { decideNotices, rememberUndelivered } from '../../../src/domain/notices/decide.ts';
import { EMPTY_MEMORY, type NoticeMemory } from '../../../src/domain/notices/memory.ts';
import type { Observation } from '../../../src/domain/notices/notice.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function stateDirectory(): string {
  directories.push(mkdtempSync(join(tmpdir(), 'n-')));
  return directories.at(-1) ?? '';
}

/** One with something in every part of it. */
function someMemory(): NoticeMemory {
  const failing: Observation = {
    cluster: 'main',
    topic: 'run',
    subject: 'backup',
    state: 'failing',
    cause: 'w',
    next: 'n',
    code: 'TOOL_FAILED',
  };
  const drill: Observation = { ...failing, topic: 'drill', subject: 'drill', state: 'well', isResult: true, runId: 'r1' };
  const observations = [failing, { ...failing, subject: 'held back' }, drill];
  const { memory, notices } = decideNotices(
    observations,
    EMPTY_MEMORY,
    { remindAfterSeconds: 1, mostPerHour: 1 },
    instantOfMicros(1_795_382_188_123_456n),
  );
  return rememberUndelivered(memory, notices);
}

describe('the memory of notices on disk', () => {
  it('comes back as it was', async () => {
    const state = join(stateDirectory(), 'not', 'yet');
    const memory = someMemory();
    expect([memory.open.size, memory.heldBack.length, memory.saidResults.length, memory.undelivered.length]).toEqual([2, 2, 1, 1]);
    await createNoticeStore(state).save(memory);
    expect(await createNoticeStore(state).load()).toEqual(memory);
    expect(statSync(join(state, 'notices.json')).mode & 0o777).toBe(0o600);
  });

  it('is empty at first', async () => {
    expect(await createNoticeStore(stateDirectory()).load()).toEqual(EMPTY_MEMORY);
  });

  it.each([
    '',
    '{',
    '{}',
    '[]',
    'null',
    '{"schema":2}',
    '{"schema":1,"open":[["k",null]],"sentAt":[],"heldBack":[],"saidResults":[],"undelivered":[]}',
  ])('that holds %j is empty: said twice is better than not at all', async (text) => {
    const state = stateDirectory();
    writeFileSync(join(state, 'notices.json'), text);
    expect(await createNoticeStore(state).load()).toEqual(EMPTY_MEMORY);
  });

  it('is the old one or the new one wherever it is cut off: every prefix of it counts as nothing', async () => {
    const state = stateDirectory();
    const store = createNoticeStore(state);
    await store.save(someMemory());
    const text = readFileSync(join(state, 'notices.json'), 'utf8').trimEnd();
    for (let length = 0; length < text.length; length += 7) {
      writeFileSync(join(state, 'notices.json'), text.slice(0, length));
      expect(await store.load()).toEqual(EMPTY_MEMORY);
    }
    expect(existsSync(join(state, 'notices.json'))).toBe(true);
  });
});
