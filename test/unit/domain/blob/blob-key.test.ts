import { describe, expect, it } from 'vitest';
import { blobKeyParts, blobPrefixParts } from '../../../../src/domain/blob/blob-key.ts';
import { backupKey, noteKey, walKey } from '../../../../src/domain/native/layout.ts';
import type { BackupLabel } from '../../../../src/domain/catalog/base-backup.ts';

describe('the key of an object', () => {
  it.each([
    backupKey('20261125-020003F_20261125-080002I' as BackupLabel, 'base.tar.zst.age'),
    noteKey('20261125-020003F' as BackupLabel, 'pin'),
    walKey('000000010000000000000001.00000028.backup', 'lz4', true),
    walKey('000000010000000000000001.partial', 'zst', false),
  ])('has parts that are plain names: %s', (key) => {
    expect(blobKeyParts(key).join('/')).toBe(key);
  });

  it.each(['', '/', 'a//b', '..', 'a/..', '../a', '.', 'a/./b', '.tmp', 'a\0', 'a\nb', 'a b', '$(id)', "a'b", 'a;b', 'é'])(
    'is not %j',
    (key) => {
      expect(() => blobKeyParts(key)).toThrow(RangeError);
    },
  );
});

describe('the prefix of objects', () => {
  it.each([
    ['', [], ''],
    ['wal/', ['wal'], ''],
    ['wal/0000', ['wal'], '0000'],
    ['wal/1/2/', ['wal', '1', '2'], ''],
    ['cluster', [], 'cluster'],
  ])('%j is whole folders and the beginning of a name', (prefix, folders, nameBegin) => {
    expect(blobPrefixParts(prefix)).toEqual({ folders, nameBegin });
  });

  it.each(['/', '../', 'a/../b', 'a//', 'a/..', '.'])('is not %j', (prefix) => {
    expect(() => blobPrefixParts(prefix)).toThrow(RangeError);
  });
});
