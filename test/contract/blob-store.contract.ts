import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addMicros, instantOfMillis } from '../../src/domain/time/instant.ts';
import { SpokeError } from '../../src/errors.ts';
import type { BlobStore } from '../../src/ports/blob-store.ts';

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const HOUR = 3_600_000_000n;

/** A store under test, empty. */
export interface BlobSubject {
  readonly store: BlobStore;
  /** Whatever is there beside the objects, such as half-written files and uploads in parts. */
  leftovers(): Promise<readonly string[]>;
  /** Leaves something half-written behind for an object of that key. */
  leaveUnfinished(key: string): Promise<void>;
  /** The server looks at the condition before it takes the bytes, and not again. */
  readonly isBlindToOverlap?: boolean;
  dispose(): Promise<void>;
}

/** What every store of objects does. */
export function blobStoreContract(name: string, make: () => Promise<BlobSubject>): void {
  describe(`${name}, as a store of objects`, () => {
    let made: BlobSubject;
    let store: BlobStore;
    beforeEach(async () => {
      made = await make();
      ({ store } = made);
    });
    afterEach(() => made.dispose());

    it('holds nothing when it is new', async () => {
      expect(await store.list('', signal)).toEqual([]);
      expect(await store.listFolders('', signal)).toEqual([]);
      expect(await store.read('cluster.json', signal)).toBeUndefined();
      expect(await store.openRead('cluster.json', signal)).toBeUndefined();
    });

    it.each([0, 1, 999, 70_000])('gives back the %i bytes that were written, in both ways', async (length) => {
      const bytes = randomBytes(length);
      await store.write('backups/a/whole', bytes, signal);
      await store.writeStream('backups/a/streamed', inPiecesOf(bytes, 777), signal);
      for (const key of ['backups/a/whole', 'backups/a/streamed']) {
        expect(Buffer.compare((await store.read(key, signal))!, bytes)).toBe(0);
        expect(Buffer.compare(await allOf(await store.openRead(key, signal)), bytes)).toBe(0);
      }
    });

    it('gives back a long stream whose pieces fit nothing', async () => {
      const bytes = randomBytes(37 * MIB + 12_345);
      await store.writeStream('base.tar.zst', inPiecesOf(bytes, MIB + 17), signal);
      expect(await store.list('', signal)).toMatchObject([{ key: 'base.tar.zst', sizeBytes: bytes.length }]);
      expect(Buffer.compare(await allOf(await store.openRead('base.tar.zst', signal)), bytes)).toBe(0);
      expect(await made.leftovers()).toEqual([]);
    });

    it('replaces what is there', async () => {
      await store.write('notes/a/pin', Buffer.from('a longer note'), signal);
      await store.write('notes/a/pin', Buffer.from('short'), signal);
      expect(String(Buffer.from((await store.read('notes/a/pin', signal))!))).toBe('short');
    });

    it('replaces nothing where something new is written, and leaves nothing of it', async () => {
      const bytes = randomBytes(70_000);
      expect(await store.writeNew('wal/a/1', bytes, signal)).toBe(true);
      expect(await store.writeNew('wal/a/1', randomBytes(70_000), signal)).toBe(false);
      expect(Buffer.compare((await store.read('wal/a/1', signal))!, bytes)).toBe(0);
      expect(await made.leftovers()).toEqual([]);
    });

    it('takes one of several that write the same new object at the same time, and never what it refused', async () => {
      const written = Array.from({ length: 8 }, () => randomBytes(70_000));
      const outcomes = await Promise.all(written.map((bytes) => store.writeNew('wal/a/1', bytes, signal)));
      if (made.isBlindToOverlap !== true) expect(outcomes.filter(Boolean)).toHaveLength(1);
      const there = (await store.read('wal/a/1', signal))!;
      expect(outcomes[written.findIndex((bytes) => Buffer.compare(bytes, there) === 0)]).toBe(true);
      expect(await made.leftovers()).toEqual([]);
    });

    it('lists by the beginning of keys, in their order, with size and time', async () => {
      const keys = [
        'wal/00000002.history.zst',
        'wal/0000000100000000/b',
        'wal/0000000100000000/a',
        'wal/0000000100000001/a',
        'wall',
        'a.b',
        'a/b',
      ];
      for (const key of keys) await store.write(key, Buffer.from(key), signal);
      const listed = async (prefix: string) => (await store.list(prefix, signal)).map(({ key }) => key);
      expect(await listed('')).toEqual([...keys].sort());
      expect(await listed('wal/0000000100000000/')).toEqual(['wal/0000000100000000/a', 'wal/0000000100000000/b']);
      expect(await listed('wal/00000001')).toEqual(['wal/0000000100000000/a', 'wal/0000000100000000/b', 'wal/0000000100000001/a']);
      expect(await listed('wal')).toHaveLength(5);
      expect(await listed('nothing/')).toEqual([]);
      const [one] = await store.list('wall', signal);
      expect(one!.sizeBytes).toBe(4);
      expect(Math.abs(Number(one!.modifiedAt - instantOfMillis(Date.now())) / 1e6)).toBeLessThan(60);
    });

    it('lists the folders that hold something, at any depth', async () => {
      for (const key of ['backups/a/x', 'backups/b/c/d', 'backups/file', 'wal/1/2']) await store.write(key, Buffer.from('x'), signal);
      expect(await store.listFolders('', signal)).toEqual(['backups', 'wal']);
      expect(await store.listFolders('backups/', signal)).toEqual(['a', 'b']);
      await store.delete(['backups/b/c/d'], signal);
      expect(await store.listFolders('backups/', signal)).toEqual(['a']);
      await expect(store.listFolders('backups', signal)).rejects.toThrow(RangeError);
    });

    it('removes what is there and minds nothing that is not', async () => {
      const keys = Array.from({ length: 30 }, (_, index) => `backups/a/${index}`);
      for (const key of [...keys, 'backups/b/stays']) await store.write(key, Buffer.from('x'), signal);
      await store.delete([...keys, 'backups/never/was'], signal);
      await store.delete(keys, signal);
      await store.delete([], signal);
      expect((await store.list('', signal)).map(({ key }) => key)).toEqual(['backups/b/stays']);
    });

    it('can be written to where everything was removed', async () => {
      await store.write('backups/a/x', Buffer.from('1'), signal);
      await store.delete(['backups/a/x'], signal);
      await store.write('backups/a/x', Buffer.from('2'), signal);
      expect(await store.list('', signal)).toHaveLength(1);
    });

    it.each(['', '/', '/a', 'a/', 'a//b', '..', 'a/../b', './a', '.hidden', 'a/.b', 'a\0b', 'a\\b', 'a b', '-rf /', 'ä'])(
      'takes no %j for a key',
      async (key) => {
        const calls = [
          () => store.write(key, Buffer.from('x'), signal),
          () => store.writeStream(key, inPiecesOf(Buffer.from('x'), 1), signal),
          () => store.read(key, signal),
          () => store.openRead(key, signal),
          () => store.delete([key], signal),
        ];
        for (const call of calls) await expect((async () => call())()).rejects.toThrow(RangeError);
        expect(await store.list('', signal)).toEqual([]);
      },
    );

    it.each([
      ['before anything came', 0],
      ['in the middle of a short one', 1000],
      ['in the middle of a long one', 40 * MIB],
    ])('shows and leaves nothing of a stream that fails %s', async (_when, length) => {
      const fault = new SpokeError('TOOL_FAILED', 'pg_basebackup failed');
      const writing = store.writeStream('base.tar', failingAfter(length, fault), signal);
      await expect(writing).rejects.toBe(fault);
      expect(await store.list('', signal)).toEqual([]);
      expect(await made.leftovers()).toEqual([]);
    });

    it('keeps what was there where a stream that would replace it fails', async () => {
      await store.write('notes/a/pin', Buffer.from('old'), signal);
      await expect(store.writeStream('notes/a/pin', failingAfter(10, new Error('cut')), signal)).rejects.toThrow('cut');
      expect(String(Buffer.from((await store.read('notes/a/pin', signal))!))).toBe('old');
    });

    it.each([
      ['short', 1000],
      ['long', 40 * MIB],
    ])('ends at once when it is cancelled while a %s stream says nothing, and leaves nothing', async (_how, length) => {
      const controller = new AbortController();
      const writing = store.writeStream('base.tar', hangingAfter(length, controller), controller.signal);
      await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' });
      expect(await store.list('', signal)).toEqual([]);
      expect(await made.leftovers()).toEqual([]);
    });

    it('begins nothing when it is cancelled already, and says why', async () => {
      const reason = new SpokeError('TERMINATED', 'asked to end');
      const aborted = AbortSignal.abort(reason);
      for (const call of [
        () => store.write('a', Buffer.from('x'), aborted),
        () => store.read('a', aborted),
        () => store.list('', aborted),
        () => store.delete(['a'], aborted),
      ])
        await expect(call()).rejects.toBe(reason);
      expect(await store.list('', signal)).toEqual([]);
    });

    it('lets a reader go who has read enough', async () => {
      const bytes = randomBytes(3 * MIB);
      await store.write('wal/x', bytes, signal);
      for await (const piece of (await store.openRead('wal/x', signal))!) {
        expect(Buffer.compare(piece, bytes.subarray(0, piece.length))).toBe(0);
        break;
      }
      expect(await store.read('wal/x', signal)).toHaveLength(bytes.length);
    });

    it('does not show what is half-written, and takes it away when it is old', async () => {
      await made.leaveUnfinished('backups/a/base.tar');
      await store.write('backups/b/base.tar', Buffer.from('x'), signal);
      const there = (await made.leftovers()).length;
      expect((await store.list('', signal)).map(({ key }) => key)).toEqual(['backups/b/base.tar']);
      expect(await store.listFolders('backups/', signal)).toEqual(['b']);
      expect(await store.removeUnfinished(addMicros(instantOfMillis(Date.now()), -HOUR), signal)).toBe(0);
      expect(await made.leftovers()).toHaveLength(there);
      expect(await store.removeUnfinished(addMicros(instantOfMillis(Date.now()), HOUR), signal)).toBe(there);
      expect(await made.leftovers()).toEqual([]);
      expect(await store.list('', signal)).toHaveLength(1);
    });
  });
}

export async function allOf(source: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source!) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function* inPiecesOf(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += length) {
    await Promise.resolve();
    yield bytes.subarray(from, from + length);
  }
}

async function* failingAfter(length: number, fault: Error): AsyncGenerator<Uint8Array> {
  yield* inPiecesOf(Buffer.alloc(length, 7), MIB);
  throw fault;
}

/** Has itself cancelled when it would have to answer. */
async function* hangingAfter(length: number, controller: AbortController): AsyncGenerator<Uint8Array> {
  yield* inPiecesOf(Buffer.alloc(length, 7), MIB);
  setImmediate(() => {
    controller.abort();
  });
  await new Promise(() => undefined);
}
