import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readManifestStream } from '../../../src/adapters/native/backup/manifest-facts.ts';
import { formatLsn } from '../../../src/domain/postgres/lsn.ts';

// As PostgreSQL 15 has written it, but for the number of its files; its checksum is sha256sum's of the lines before.
const LINES = [
  '{ "PostgreSQL-Backup-Manifest-Version": 1,',
  '"Files": [',
  '{ "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-25 04:41:26 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "c35d4d1a" },',
  '{ "Path": "base/1/a\\", \\"Size\\": 99, \\"Last-Modified\\": \\"x", "Size": 88, "Last-Modified": "2026-11-25 04:41:26 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "536f950b" }',
  '],',
  '"WAL-Ranges": [',
  '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }',
  '],',
];

function manifestOf(lines: readonly string[]): Buffer {
  const text = `${lines.join('\n')}\n`;
  return Buffer.from(`${text}"Manifest-Checksum": "${createHash('sha256').update(text).digest('hex')}"}\n`);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

describe('a backup_manifest', () => {
  it('tells the size of all files and the WAL, in whatever pieces it comes', async () => {
    for (const size of [1, 7, 100, 100_000]) {
      const { fileBytes, ranges } = await readManifestStream(inPieces(manifestOf(LINES), size));
      expect(fileBytes).toBe(313n);
      expect(ranges.map(({ timeline, startLsn, endLsn }) => `${timeline} ${formatLsn(startLsn)} ${formatLsn(endLsn)}`)).toEqual([
        '1 0/2000028 0/2000100',
      ]);
    }
  });

  it('is refused where it is not whole, or one byte is another', async () => {
    const whole = manifestOf(LINES);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 2), fc.integer({ min: 1, max: 255 }), async (place, difference) => {
        const changed = Buffer.from(whole);
        changed[place] = (changed[place] ?? 0) ^ difference;
        await expect(readManifestStream(inPieces(changed, 64))).rejects.toThrow(RangeError);
        await expect(readManifestStream(inPieces(whole.subarray(0, place), 64))).rejects.toThrow(RangeError);
      }),
    );
  });
});
