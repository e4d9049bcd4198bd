import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import { createWalFetcher } from '../../../src/adapters/native/restore/fetch-wal-file.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { BlobStore } from '../../../src/ports/blob-store.ts';
import { MEBIBYTE, segmentBytes } from './wal-push-harness.ts';

const SEGMENT = '000000010000000200000003';
const context = { signal: new AbortController().signal };

describe('what fetches WAL', () => {
  let root: string;
  let path: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'fetch'));
    path = join(root, 'wal', SEGMENT.slice(0, 16), SEGMENT);
    mkdirSync(dirname(path), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const pack = () => execFileSync('zstd', ['-q', '--rm', path]);
  const fetcherOf = (more: Partial<BlobStore> = {}) => {
    const store = { ...createFileBlobStore({ directory: root }), ...more };
    return createWalFetcher({ runner: createProcessRunner(), settings: { compressLevel: 1 } }, { store });
  };
  const target = () => join(root, randomBytes(4).toString('hex'));

  it('finds a segment that is stored as it is, and what is packed before and after it', async () => {
    const content = segmentBytes(SEGMENT);
    const { fetch } = fetcherOf();
    for (const change of [() => writeFileSync(path, content), pack]) {
      change();
      const to = target();
      expect(await fetch(SEGMENT, to, context)).toBe(MEBIBYTE);
      expect(readFileSync(to).equals(content)).toBe(true);
    }
    expect(await fetch('000000010000000200000004', target(), context)).toBeUndefined();
  });

  it('looks again for one that is packed between a listing and its opening, or while it is listed', async () => {
    const content = segmentBytes(SEGMENT);
    const store = createFileBlobStore({ directory: root });
    let isMissed = false;
    const packing: Partial<BlobStore> = {
      async list(prefix, signal) {
        const found = await store.list(prefix, signal);
        if (found.some(({ key }) => key.endsWith(SEGMENT))) pack();
        return isMissed ? ((isMissed = false), []) : found;
      },
    };
    for (const misses of [false, true]) {
      isMissed = misses;
      writeFileSync(path, content);
      rmSync(`${path}.zst`, { force: true });
      const to = target();
      expect(await fetcherOf(packing).fetch(SEGMENT, to, context)).toBe(MEBIBYTE);
      expect(readFileSync(to).equals(content)).toBe(true);
    }
  });

  it('takes none that is shorter than its header says', async () => {
    writeFileSync(path, segmentBytes(SEGMENT).subarray(1));
    await expect(fetcherOf().fetch(SEGMENT, target(), context)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
  });
});
