import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createFileBlobStore } from '../../src/adapters/files/blob-store.ts';
import { blobStoreContract, inPiecesOf } from './blob-store.contract.ts';

const signal = new AbortController().signal;
let count = 0;
const made: string[] = [];
afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true });
});

function newRoot(): string {
  count += 1;
  const directory = join(tmpdir(), `blobs-${count}`);
  made.push(directory);
  return join(directory, 'native', 'main');
}

async function hiddenBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter(({ name }) => name.startsWith('.')).map(({ name }) => name);
}

blobStoreContract('a directory', () => {
  const root = newRoot();
  return Promise.resolve({
    store: createFileBlobStore({ directory: root }),
    leftovers: () => hiddenBelow(root),
    leaveUnfinished: async (key) => {
      const path = join(root, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(join(dirname(path), '.base.tar.4711-0.tmp'), 'half');
    },
    dispose: () => Promise.resolve(),
  });
});

describe('a directory of objects', () => {
  it('holds plain files that only their owner can read', async () => {
    const root = newRoot();
    await createFileBlobStore({ directory: root }).write('backups/a/backup.json', Buffer.from('{}'), signal);
    expect(String(await readFile(join(root, 'backups/a/backup.json')))).toBe('{}');
    expect((await stat(join(root, 'backups/a/backup.json'))).mode & 0o777).toBe(0o600);
    for (const directory of [root, join(root, 'backups'), join(root, 'backups/a')])
      expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });

  it('belongs with all that is made in it to its owner, where root writes', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root to give files away');
    const root = newRoot();
    const store = createFileBlobStore({ directory: root, owner: { uid: 4711, gid: 4712 } });
    await store.writeStream('wal/0000000100000000/x', inPiecesOf(Buffer.from('x'), 1), signal);
    for (const path of [root, join(root, 'wal'), join(root, 'wal/0000000100000000'), join(root, 'wal/0000000100000000/x')])
      expect(await stat(path)).toMatchObject({ uid: 4711, gid: 4712 });
  });

  it('keeps no folder in which nothing is any more, but its root', async () => {
    const root = newRoot();
    const store = createFileBlobStore({ directory: root });
    for (const key of ['backups/a/x', 'backups/a/y', 'backups/b/x']) await store.write(key, Buffer.from('x'), signal);
    await store.delete(['backups/a/x', 'backups/a/y'], signal);
    expect(await readdir(join(root, 'backups'))).toEqual(['b']);
    await store.delete(['backups/b/x'], signal);
    expect(await readdir(root)).toEqual([]);
  });

  it('follows a link to where somebody moved a part of it', async () => {
    const root = newRoot();
    const store = createFileBlobStore({ directory: root });
    const elsewhere = newRoot();
    await mkdir(elsewhere, { recursive: true });
    await mkdir(root, { recursive: true });
    await symlink(elsewhere, join(root, 'wal'));
    await store.write('wal/x', Buffer.from('x'), signal);
    expect((await store.list('', signal)).map(({ key }) => key)).toEqual(['wal/x']);
    expect(await store.listFolders('', signal)).toEqual(['wal']);
  });

  it('is not taken for empty where something else is in its place, or a part of it cannot be read', async () => {
    const root = newRoot();
    await mkdir(dirname(root), { recursive: true });
    await writeFile(root, 'no directory');
    const store = createFileBlobStore({ directory: root });
    const calls = [() => store.list('', signal), () => store.listFolders('', signal), () => store.read('cluster.json', signal)];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
    await expect(store.write('cluster.json', Buffer.from('x'), signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  });

  it('tells who may not read it that he may not', async (context) => {
    if (process.getuid?.() === 0) context.skip('root may read everything');
    const root = newRoot();
    const store = createFileBlobStore({ directory: root });
    await store.write('wal/x', Buffer.from('x'), signal);
    await chmod(join(root, 'wal'), 0);
    await expect(store.list('', signal)).rejects.toMatchObject({ code: 'REPOSITORY_DENIED' });
    await chmod(join(root, 'wal'), 0o700);
  });

  it('says how much is free, also before it is there', async () => {
    const store = createFileBlobStore({ directory: newRoot() });
    expect(await store.freeBytes(signal)).toBeGreaterThan(0n);
  });
});
