import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import { runShipper } from '../../../src/adapters/native/wal/shipper.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import { createS3BlobStore } from '../../../src/adapters/s3/blob-store.ts';
import { useS3Server } from '../../harness/s3.ts';
import { createPlace, MEBIBYTE, type PushPlace, segmentBytes } from './wal-push-harness.ts';

const server = useS3Server();
const stop = new AbortController();
const { signal } = new AbortController();
const WAITING = { timeout: 30_000, interval: 20 };
let place: PushPlace | undefined;
let shipping: Promise<void> | undefined;

afterEach(async () => {
  stop.abort();
  await shipping;
  await place?.remove();
});

it('an S3 server gets the bytes of home, whether they fit into memory or not, and archive_command can wait for it', async () => {
  const { s3 } = await server.bucket();
  const store = createS3BlobStore(s3, 'native/main');
  const made = await createPlace({ remotes: ['s3'], ack: 'all', ackTimeoutSeconds: 30 });
  place = made;
  await store.write('cluster.json', await readFile(join(made.rootOf('local'), 'cluster.json')), signal);
  const repositories = made.settings.repositories.map((repository) => ({
    ...repository,
    open: () => Promise.resolve(repository.kind === 's3' ? store : createFileBlobStore({ directory: made.rootOf('local') })),
  }));
  const parts = { settings: { ...made.settings, repositories }, runner: createProcessRunner(), clock: createSystemClock() };
  shipping = runShipper(parts as unknown as NativeParts, { reconciles: true }, stop.signal);
  await vi.waitFor(() => readFile(join(made.spool, 'shipper')), WAITING);
  for (const [name, bytes] of [
    ['000000010000000200000001', MEBIBYTE],
    ['000000010000000300000002', 64 * MEBIBYTE],
  ] as const) {
    expect(await made.push(await made.wal(name, segmentBytes(name, { bytes })))).toMatchObject({ code: 0, stderr: '' });
    const key = `wal/${name.slice(0, 16)}/${name}.zst`;
    const there = await store.read(key, signal);
    expect(there?.length).toBeGreaterThan(bytes / 2);
    expect((await readFile(join(made.rootOf('local'), key))).equals(there ?? Buffer.of())).toBe(true);
    // Offered again, it is found there.
    expect(await made.push(`pg_wal/${name}`)).toMatchObject({ code: 0 });
  }
}, 120_000);
