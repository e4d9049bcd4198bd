import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addMicros, instantOfMicros } from '../../src/domain/time/instant.ts';
import type { JournalEntry, LockHolder, RunHeader, RunId, RunLock, RunReader, RunWriter } from '../../src/ports/run-store.ts';

/** A store or lock under test, with its clean-up. */
export interface Subject<T> {
  readonly subject: T;
  dispose(): Promise<void>;
}

const START = instantOfMicros(1_795_382_188_123_456n);

export function runIdOf(text: string): RunId {
  return text as RunId;
}

export function headerOf(runId: string, startedAt = START): RunHeader {
  return {
    runId: runIdOf(runId),
    verb: 'restore',
    cluster: 'main',
    startedAt,
    host: 'db1',
    user: 'postgres',
    programVersion: '0.1.0',
    intent: { target: { kind: 'time', time: '2026-11-22T14:05:00.123456Z' } },
  };
}

export function noteOf(message: string): JournalEntry {
  return { at: START, kind: 'note', message, detail: { n: 1 } };
}

const FIRST = '20261122T211628Z-restore-aaaa';
const SECOND = '20261122T211629Z-backup-bbbb';

/** What every store of runs does. */
export function runStoreContract(name: string, make: () => Promise<Subject<RunReader & RunWriter>>): void {
  describe(`${name}, as a store of runs`, () => {
    let made: Subject<RunReader & RunWriter>;
    let store: RunReader & RunWriter;
    beforeEach(async () => {
      made = await make();
      store = made.subject;
    });
    afterEach(() => made.dispose());

    it('has no runs at first', async () => {
      expect(await store.list()).toEqual([]);
    });

    it('gives a run back with its entries in their order', async () => {
      const header = headerOf(FIRST);
      const entries: JournalEntry[] = [
        { at: START, kind: 'attempt', pid: 17, detail: {} },
        { at: addMicros(START, 1n), kind: 'step-started', step: 'copy', detail: null },
        { at: addMicros(START, 2n), kind: 'step-finished', step: 'copy', seconds: 0.25, result: { files: 3 } },
        { at: addMicros(START, 3n), kind: 'step-failed', step: 'start', code: 'POSTGRES_FAILED', message: 'no\nway' },
        { at: addMicros(START, 4n), kind: 'run-finished', outcome: 'failed', result: null },
      ];
      await store.create(header);
      for (const entry of entries) await store.append(header.runId, entry);
      expect(await store.read(header.runId)).toEqual({ header, entries });
    });

    it('lists the newest run first', async () => {
      await store.create(headerOf(FIRST));
      await store.create(headerOf(SECOND, addMicros(START, 1_000_000n)));
      expect((await store.list()).map((run) => run.header.runId)).toEqual([SECOND, FIRST]);
    });

    it('keeps entries of one run apart from those of another', async () => {
      await store.create(headerOf(FIRST));
      await store.create(headerOf(SECOND));
      await store.append(runIdOf(FIRST), noteOf('first'));
      expect((await store.read(runIdOf(SECOND))).entries).toEqual([]);
    });

    it('keeps the order of entries that are appended without waiting', async () => {
      await store.create(headerOf(FIRST));
      const notes = Array.from({ length: 20 }, (_, index) => noteOf(`note ${index}`));
      await Promise.all(notes.map((note) => store.append(runIdOf(FIRST), note)));
      expect((await store.read(runIdOf(FIRST))).entries).toEqual(notes);
    });

    it('knows nothing of a run that was never created', async () => {
      await expect(store.read(runIdOf(FIRST))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
      await expect(store.append(runIdOf(FIRST), noteOf('x'))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    });

    it.each(['../../etc/passwd', '..', '', '/etc', `${FIRST}/..`, 'a\0b'])('knows no run %j', async (runId) => {
      await expect(store.read(runIdOf(runId))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
      await expect(store.append(runIdOf(runId), noteOf('x'))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    });

    it('never changes the header of a run', async () => {
      await store.create(headerOf(FIRST));
      await expect(store.create({ ...headerOf(FIRST), cluster: 'other' })).rejects.toThrow();
      expect((await store.read(runIdOf(FIRST))).header.cluster).toBe('main');
    });
  });
}

export function holderOf(runId: string): LockHolder {
  return { runId: runIdOf(runId), pid: process.pid, host: 'db1', since: START };
}

/** What every lock does. */
export function runLockContract(name: string, make: () => Promise<Subject<RunLock>>): void {
  describe(`${name}, as a lock`, () => {
    let made: Subject<RunLock>;
    let lock: RunLock;
    beforeEach(async () => {
      made = await make();
      lock = made.subject;
    });
    afterEach(() => made.dispose());

    it('is held by one at a time, and says by whom', async () => {
      const held = await lock.acquire('main', holderOf(FIRST));
      await expect(lock.acquire('main', holderOf(SECOND))).rejects.toMatchObject({
        code: 'LOCKED',
        details: { runId: FIRST, pid: process.pid, host: 'db1', since: '2026-11-22T21:16:28.123456Z' },
      });
      await held.release();
    });

    it('can be taken again once it was released', async () => {
      await (await lock.acquire('main', holderOf(FIRST))).release();
      const again = await lock.acquire('main', holderOf(SECOND));
      await again.release();
    });

    it('is another one for each key', async () => {
      const keys = ['main', 'main2', '/data/pg', '/data-pg', 'Main'];
      const held = await Promise.all(keys.map((key) => lock.acquire(key, holderOf(FIRST))));
      for (const one of held) await one.release();
    });

    it('can be released twice, also when somebody else holds it by then', async () => {
      const first = await lock.acquire('main', holderOf(FIRST));
      await first.release();
      const second = await lock.acquire('main', holderOf(SECOND));
      await first.release();
      await expect(lock.acquire('main', holderOf(FIRST))).rejects.toMatchObject({ code: 'LOCKED', details: { runId: SECOND } });
      await second.release();
    });

    it('of many who want it at once goes to exactly one', async () => {
      const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => lock.acquire('main', holderOf(FIRST))));
      const winners = attempts.filter((attempt) => attempt.status === 'fulfilled');
      expect(winners).toHaveLength(1);
      for (const winner of winners) await winner.value.release();
    });
  });
}
