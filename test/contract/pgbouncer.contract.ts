import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OperationContext } from '../../src/ports/operation.ts';
import type { PgBouncerControl, PgBouncerReader } from '../../src/ports/pgbouncer.ts';

export interface BouncerSubject {
  readonly console: PgBouncerReader & PgBouncerControl;
  readonly adminUrl: string;
  /** Where nothing listens. */
  readonly nowhere: string;
  /** A database that it offers. */
  readonly database: string;
  /** Changes what its configuration on disk offers. */
  configure(databases: readonly string[]): Promise<void>;
  /** Opens a transaction through it; resolves with what ends it. */
  openTransaction(): Promise<() => Promise<void>>;
  dispose(): Promise<void>;
}

/** What every PgBouncer does when it is told something. */
export function pgbouncerContract(title: string, open: () => Promise<BouncerSubject>): void {
  describe(`the console of ${title}`, () => {
    let subject: BouncerSubject;
    const context: OperationContext = { signal: new AbortController().signal, timeoutMs: 20_000 };
    beforeAll(async () => {
      subject = await open();
    });
    afterAll(() => subject.dispose());

    const state = async (database: string) =>
      (await subject.console.observe(subject.adminUrl, context)).databases.find(({ name }) => name === database);

    it('says which databases it offers and where they are', async () => {
      const { version, databases } = await subject.console.observe(subject.adminUrl, context);
      expect(version).toMatch(/^PgBouncer \d+\.\d+/);
      expect(databases.map(({ name }) => name)).toContain(subject.database);
      expect(await state(subject.database)).toMatchObject({ paused: false, disabled: false, host: '127.0.0.1' });
    });

    it('is paused until it is resumed, however often it is told so', async () => {
      const { console, adminUrl, database } = subject;
      await console.pause(adminUrl, database, context);
      await console.pause(adminUrl, database, context);
      expect((await state(database))?.paused).toBe(true);
      await console.resume(adminUrl, database, context);
      await console.resume(adminUrl, database, context);
      expect((await state(database))?.paused).toBe(false);
    });

    it('lets clients go on when a transaction does not end in time', async () => {
      const { console, adminUrl, database } = subject;
      const end = await subject.openTransaction();
      await expect(console.pause(adminUrl, database, { ...context, timeoutMs: 500 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
      expect((await state(database))?.paused).toBe(false);
      await end();
      await console.pause(adminUrl, database, context);
      await console.resume(adminUrl, database, context);
    });

    it('throws out whoever has a transaction open, and holds who comes back until it is resumed', async () => {
      const { console, adminUrl, database } = subject;
      const end = await subject.openTransaction();
      await console.evict(adminUrl, database, context);
      await console.evict(adminUrl, database, context);
      expect((await state(database))?.paused).toBe(true);
      await expect(end()).rejects.toThrow();
      await console.resume(adminUrl, database, context);
      await (await subject.openTransaction())();
    });

    it('cannot pause, resume or close what it does not offer', async () => {
      const { console, adminUrl } = subject;
      await expect(console.pause(adminUrl, 'no such "database', context)).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
      await expect(console.resume(adminUrl, 'no such "database', context)).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
      await expect(console.evict(adminUrl, 'no such "database', context)).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
    });

    it('takes a new configuration when it is told to read it again, and not before', async () => {
      const { console, adminUrl, database } = subject;
      await subject.configure([database, 'another']);
      expect(await state('another')).toBeUndefined();
      await console.reload(adminUrl, context);
      expect(await state('another')).toMatchObject({ host: '127.0.0.1' });
    });

    it('is unavailable where nothing listens', async () => {
      await expect(subject.console.observe(subject.nowhere, context)).rejects.toMatchObject({ code: 'POSTGRES_UNAVAILABLE' });
    });
  });
}
