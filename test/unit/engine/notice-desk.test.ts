import { describe, expect, it } from 'vitest';
import { EMPTY_MEMORY, type NoticeMemory } from '../../../src/domain/notices/memory.ts';
import type { Notice, Observation } from '../../../src/domain/notices/notice.ts';
import { addMicros, instantOfMicros } from '../../../src/domain/time/instant.ts';
import { createNoticeDesk } from '../../../src/engine/notice-desk.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { Delivery, Notifier, NoticeStore } from '../../../src/ports/notifier.ts';

const FAILING: Observation = { cluster: 'main', topic: 'run', subject: 'backup', state: 'failing', cause: 'why', next: 'what' };

/** A desk whose one channel does what `result` says. */
function begin(result: () => Delivery['result'] = () => 'delivered', changes: Partial<NoticeStore> = {}) {
  let memory: NoticeMemory = EMPTY_MEMORY;
  let seconds = 0n;
  const sent: Notice[] = [];
  const faults: string[] = [];
  const deliver = (): readonly Delivery[] => [{ channel: 'ops', kind: 'webhook', result: result(), attempts: 3, reason: 'no answer' }];
  const notifier: Notifier = {
    send: (notice) => {
      sent.push(notice);
      return Promise.resolve(deliver());
    },
    signalLife: () => Promise.resolve(deliver()),
  };
  const store: NoticeStore = {
    load: () => Promise.resolve(memory),
    save: (saved) => Promise.resolve(void (memory = saved)),
    ...changes,
  };
  const now = () => addMicros(instantOfMicros(1_795_382_188_000_000n), seconds++ * 1_000_000n);
  const clock = { now, monotonicMs: () => 0, sleep: () => Promise.resolve() };
  const policy = { remindAfterSeconds: 86_400, mostPerHour: 20 };
  const open = () =>
    createNoticeDesk({ notifier, store, clock, policy, signal: new AbortController().signal, onFault: (fault) => faults.push(fault) });
  return { open, sent, faults, memory: () => memory };
}

describe('the desk of notices', () => {
  it('says a failure once, also after a restart', async () => {
    const { open, sent } = begin();
    const desk = open();
    await desk.report([FAILING]);
    await desk.report([FAILING]);
    await open().report([FAILING]);
    expect(sent.map(({ kind }) => kind)).toEqual(['failure']);
  });

  it('decides by what reports before it have said, however fast they follow each other', async () => {
    const { open, sent } = begin();
    const desk = open();
    await Promise.all([desk.report([FAILING]), desk.report([FAILING]), desk.report([{ ...FAILING, state: 'well' }])]);
    expect(sent.map(({ kind }) => kind)).toEqual(['failure', 'recovery']);
  });

  it('tries again what no channel took, and logs it each time', async () => {
    const results: Delivery['result'][] = ['failed', 'delivered'];
    const { open, sent, faults } = begin(() => results.shift() ?? 'delivered');
    await open().report([FAILING]);
    await open().report([]);
    await open().report([]);
    expect(sent.map(({ id }) => id)).toEqual([sent[0]?.id, sent[0]?.id]);
    expect(faults).toEqual(['webhook ops was not told, after 3 attempts: no answer']);
  });

  it('keeps nobody waiting for one notice after the other where nobody takes any', async () => {
    const { open, sent, memory } = begin(() => 'failed');
    await open().report([FAILING, { ...FAILING, subject: 'verify' }, { ...FAILING, subject: 'drill' }]);
    expect(sent).toHaveLength(1);
    expect(memory().undelivered).toHaveLength(3);
  });

  it('neither fails nor repeats itself where its memory cannot be written', async () => {
    const { open, sent, faults } = begin(undefined, { save: () => Promise.reject(new SpokeError('DISK_FULL', 'no space left')) });
    const desk = open();
    await desk.report([FAILING]);
    await desk.report([FAILING]);
    expect(sent).toHaveLength(1);
    expect(faults).toEqual(['notices: no space left', 'notices: no space left']);
  });

  it('writes nothing while nothing happens', async () => {
    const { open, faults } = begin(undefined, { save: () => Promise.reject(new Error('written')) });
    await open().report([]);
    expect(faults).toEqual([]);
  });

  it('goes on after a dead man’s switch that does not answer', async () => {
    const { open, faults } = begin(() => 'failed');
    await open().signalLife({ cluster: 'main', signal: 'start', runId: 'r' });
    expect(faults).toHaveLength(1);
  });
});
