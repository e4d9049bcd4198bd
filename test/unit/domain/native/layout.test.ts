import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compressTypeOfStored, walFileOfKey, walFileOfStored, walKey } from '../../../../src/domain/native/layout.ts';

const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9A-F]{${digits}}$`));
const segment = hex(24);
const walFile = fc.oneof(
  segment,
  segment.map((name) => `${name}.partial`),
  fc.tuple(segment, hex(8)).map(([name, offset]) => `${name}.${offset}.backup`),
  hex(8).map((timeline) => `${timeline}.history`),
);

describe('the name of a WAL file in a repository', () => {
  it('is told from the key that it was stored as, however it was stored', () => {
    fc.assert(
      fc.property(walFile, fc.constantFrom('zst' as const, 'lz4' as const), fc.boolean(), (name, compressType, isEncrypted) => {
        const key = walKey(name, compressType, isEncrypted);
        const stored = key.slice(key.lastIndexOf('/') + 1);
        expect([walFileOfKey(key), walFileOfStored(stored), compressTypeOfStored(stored)]).toEqual([name, name, compressType]);
      }),
    );
  });

  it('is that of a segment itself where it was stored as it is', () => {
    fc.assert(
      fc.property(segment, (name) => {
        expect(walFileOfKey(`wal/${name.slice(0, 16)}/${name}`)).toBe(name);
        expect(compressTypeOfStored(name)).toBeUndefined();
      }),
    );
  });

  it.each([
    '00000002.history',
    '000000010000000200000003.partial',
    '000000010000000200000003.gz',
    '000000010000000200000003.age',
    '000000010000000200000003.zst.tmp',
    '.000000010000000200000003.zst.1-x.tmp',
    '00000001000000020000000',
    '00000001000000020000000g',
    'x.zst',
    '',
  ])('is none for %j', (stored) => {
    expect(walFileOfStored(stored)).toBeUndefined();
    expect(walFileOfKey(`wal/${stored}`)).toBeUndefined();
  });

  it('is none for what lies elsewhere', () => {
    expect(walFileOfKey('backups/000000010000000200000003')).toBeUndefined();
    expect(walFileOfKey('wal/0000000100000002/x/000000010000000200000003')).toBeUndefined();
  });
});
