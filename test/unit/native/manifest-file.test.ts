import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { copyManifest, readManifest } from '../../../src/adapters/native/incremental/manifest-file.ts';
import { formatLsn } from '../../../src/domain/postgres/lsn.ts';

// As PostgreSQL 15 and 17 have written them, but for the number of their files; their checksum is sha256sum's of the lines before.
const FILES = [
  '{ "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-25 04:41:26 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "c35d4d1a" },',
  '{ "Path": "base/1/a\\", \\"Size\\": 99, \\"Last-Modified\\": \\"x", "Size": 88, "Last-Modified": "2026-11-25 04:41:26 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "536f950b" }',
  '],',
  '"WAL-Ranges": [',
  '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }',
  '],',
];
const VERSION_1 = ['{ "PostgreSQL-Backup-Manifest-Version": 1,', '"Files": [', ...FILES];
const VERSION_2 = [
  '{ "PostgreSQL-Backup-Manifest-Version": 2,',
  '"System-Identifier": 7711966097522495504,',
  '"Files": [',
  '{ "Path": "base/5/INCREMENTAL.1259", "Size": 12, "Last-Modified": "2026-11-25 04:47:11 GMT" },',
  '{ "Encoded-Path": "626173652fff", "Size": 5, "Last-Modified": "2026-11-25 04:47:11 GMT" },',
  ...FILES,
];

function manifestOf(lines: readonly string[]): Buffer {
  const text = `${lines.join('\n')}\n`;
  return Buffer.from(`${text}"Manifest-Checksum": "${createHash('sha256').update(text).digest('hex')}"}\n`);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

const read = (lines: readonly string[]) => readManifest('the manifest', inPieces(manifestOf(lines), 1000));
const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

const DAMAGED = { code: 'BACKUP_DAMAGED' };

describe('a backup_manifest', () => {
  it('tells the size of all files and the WAL, in whatever pieces it comes', async () => {
    for (const size of [1, 7, 100, 100_000]) {
      const { fileBytes, fileCount, walRanges } = await readManifest('it', inPieces(manifestOf(VERSION_1), size));
      expect({ fileBytes, fileCount }).toEqual({ fileBytes: 313n, fileCount: 2 });
      expect(walRanges.map(({ timeline, startLsn, endLsn }) => `${timeline} ${formatLsn(startLsn)} ${formatLsn(endLsn)}`)).toEqual([
        '1 0/2000028 0/2000100',
      ]);
    }
  });

  it('of version 2 tells whose it is, and how many of its files are changed blocks alone', async () => {
    expect(await read(VERSION_2)).toMatchObject({
      version: 2,
      systemIdentifier: 7711966097522495504n,
      fileBytes: 330n,
      fileCount: 4,
      incrementalFileCount: 1,
    });
  });

  it('is refused where it is not whole, or one byte is another', async () => {
    const whole = manifestOf(VERSION_2);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (place, difference) => {
        const changed = Buffer.from(whole);
        changed[place] = (changed[place] ?? 0) ^ difference;
        await expect(readManifest('it', inPieces(changed, 64))).rejects.toMatchObject(DAMAGED);
        await expect(readManifest('it', inPieces(whole.subarray(0, place), 64))).rejects.toMatchObject(DAMAGED);
      }),
    );
  });

  it('is refused in a version that is not known, and where it lacks what its version has', async () => {
    const [head = '', identifier = '', ...rest] = VERSION_2;
    await expect(read([head.replace('2', '3'), identifier, ...rest])).rejects.toMatchObject({
      ...DAMAGED,
      message: 'the manifest cannot be used: the backup manifest has version 3, which is not known here',
    });
    await expect(read([head, ...rest])).rejects.toMatchObject(DAMAGED);
    await expect(read([head.replace('2', '1'), identifier, ...rest])).rejects.toMatchObject(DAMAGED);
    await expect(read([...VERSION_2, '"Something": "more",'])).rejects.toMatchObject(DAMAGED);
    await expect(read(VERSION_2.map((line) => line.replace('"Size": 225, ', '')))).rejects.toMatchObject(DAMAGED);
  });

  it('is given up where a line goes on for ever, instead of being held', async () => {
    let given = 0;
    const endless = (async function* () {
      for (; given < 10_000; given += 1) yield Buffer.alloc(1024, 'x');
    })();
    await expect(readManifest('it', endless)).rejects.toMatchObject(DAMAGED);
    expect(given).toBeLessThan(100);
  });

  it('is copied byte for byte into a new file that nobody else can read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'm'));
    directories.push(directory);
    const file = join(directory, 'manifest');
    const whole = manifestOf(VERSION_2);
    expect((await copyManifest('it', inPieces(whole, 100), file, undefined)).fileCount).toBe(4);
    expect(await readFile(file)).toEqual(whole);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(copyManifest('it', inPieces(whole, 100), file, undefined)).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
