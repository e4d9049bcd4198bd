import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addMicros, instantOfMicros } from '../../src/domain/time/instant.ts';
import type { JournalEntry, RunFilter, RunHeader, RunId, RunReader, RunWriter } from '../../src/ports/run-store.ts';

/** A store under test, with its clean-up. */
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
    trigger: { kind: 'manual' },
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

    it('lists the newest run first also of those that began in the same second, whatever their names', async () => {
      const names = ['20261122T211628Z-backup-zzzz', '20261122T211628Z-verify-aaaa', '20261122T211628Z-backup-aaaa'];
      for (const [index, name] of names.entries()) await store.create(headerOf(name, addMicros(START, BigInt(index))));
      expect((await store.list()).map((run) => run.header.runId)).toEqual(names.toReversed());
      expect((await store.list({ limit: 1 })).map((run) => run.header.runId)).toEqual(names.slice(-1));
    });

    it('lists only the runs that are meant', async () => {
      await store.create(headerOf(FIRST));
      await store.create({ ...headerOf(SECOND, addMicros(START, 1_000_000n)), verb: 'backup' });
      const idsOf = async (filter: RunFilter) => (await store.list(filter)).map((run) => run.header.runId);
      expect(await idsOf({ verbs: ['restore'] })).toEqual([FIRST]);
      expect(await idsOf({ verbs: ['setup-archiving', 'backup'] })).toEqual([SECOND]);
      expect(await idsOf({ startedSince: addMicros(START, 1_000_000n) })).toEqual([SECOND]);
      expect(await idsOf({ limit: 1 })).toEqual([SECOND]);
      expect(await idsOf({ cluster: 'other' })).toEqual([]);
      expect(await store.listIds()).toEqual([SECOND, FIRST]);
      expect(await store.listIds({ verbs: ['restore'] })).toEqual([FIRST]);
    });

    it('forgets a run that is removed', async () => {
      await store.create(headerOf(FIRST));
      await store.create(headerOf(SECOND));
      await store.remove([runIdOf(FIRST)]);
      expect(await store.listIds()).toEqual([SECOND]);
      await expect(store.read(runIdOf(FIRST))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    });

    it('knows of a run whether its end is wanted', async () => {
      await store.create(headerOf(FIRST));
      const asked = () => store.isCancelRequested(runIdOf(FIRST));
      expect(await asked()).toBe(false);
      await store.requestCancel(runIdOf(FIRST), true);
      expect(await asked()).toBe(true);
      await store.requestCancel(runIdOf(FIRST), false);
      await store.requestCancel(runIdOf(FIRST), false);
      expect(await asked()).toBe(false);
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
