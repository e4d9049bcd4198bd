import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPlace, MEBIBYTE, noteLiving, type PlaceOptions, type PushPlace, segmentBytes } from './wal-push-harness.ts';

const SEGMENT = '000000010000000200000003';
const FOLDER = 'wal/0000000100000002';
const DIFFERENT = 45;
const NOT_WAL = 65;
const PLAIN = `${FOLDER}/${SEGMENT}`;
const PACKED = `${PLAIN}.zst`;

const places: PushPlace[] = [];

/** A place whose daemon lives; nobody packs in it but the tests. */
async function withPacker(options?: PlaceOptions): Promise<PushPlace> {
  const made = await createPlace(options);
  places.push(made);
  await noteLiving(made.spool, 'packer');
  return made;
}

afterEach(async () => {
  for (const made of places.splice(0)) await made.remove();
});

function zstd(content: Uint8Array): Buffer {
  return execFileSync('zstd', ['-q', '-c', '--check'], { input: content, maxBuffer: 128 * MEBIBYTE });
}

describe('where somebody packs behind', () => {
  it('a segment is stored as it is, with a hint', async () => {
    const { push, wal, rootOf, spool, files } = await withPacker({ remotes: ['s3'] });
    const content = segmentBytes(SEGMENT);
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0, stderr: '' });
    expect(await files(rootOf('local'))).toEqual(['cluster.json', PLAIN]);
    expect((await readFile(join(rootOf('local'), PLAIN))).equals(content)).toBe(true);
    expect((await stat(join(rootOf('local'), PLAIN))).mode & 0o077).toBe(0);
    // Repositories elsewhere get it packed.
    expect(await files(spool)).toEqual([`pack/${SEGMENT}`, 'packer', `todo/s3/${SEGMENT}.zst`]);
  });

  it('a spool, too, holds it as it is', async () => {
    const { push, wal, spool, files } = await withPacker({ locals: [], remotes: ['s3'] });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(join(spool, 'home'))).toEqual(['cluster.json', PLAIN]);
  });

  it.each([
    ['as it is', [PLAIN]],
    ['packed', [PACKED]],
    ['both', [PLAIN, PACKED]],
  ])('the same bytes are a success and others are refused where it is there %s, with a packer and without', async (_how, there) => {
    const { push, wal, rootOf, spool, files } = await withPacker();
    const content = segmentBytes(SEGMENT);
    await mkdir(join(rootOf('local'), FOLDER), { recursive: true });
    for (const stored of there) await writeFile(join(rootOf('local'), stored), stored === PLAIN ? content : zstd(content));
    for (const packer of [true, false]) {
      if (!packer) await unlink(join(spool, 'packer'));
      expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0, stderr: '' });
      const refused = await push(await wal(SEGMENT));
      expect(refused).toMatchObject({ code: DIFFERENT, stderr: expect.stringContaining('holds other bytes') as string });
      expect(await readFile(join(spool, 'failed', SEGMENT), 'utf8')).toMatch(/holds other bytes/);
      expect(await files(rootOf('local'))).toEqual(['cluster.json', ...there]);
    }
  });

  it('nothing is acknowledged where one of the two names holds other bytes', async () => {
    const { push, wal, rootOf, files } = await withPacker();
    const [content, other] = [segmentBytes(SEGMENT), segmentBytes(SEGMENT)];
    await mkdir(join(rootOf('local'), FOLDER), { recursive: true });
    await writeFile(join(rootOf('local'), PLAIN), content);
    await writeFile(join(rootOf('local'), PACKED), zstd(other));
    for (const one of [content, other]) expect(await push(await wal(SEGMENT, one))).toMatchObject({ code: DIFFERENT });
    expect(await files(rootOf('local'))).toEqual(['cluster.json', PLAIN, PACKED]);
  });

  it.each([
    ['a packed one while it is stored as it is', true, PACKED],
    ['a plain one while it is packed', false, PLAIN],
  ])('what another writer stores in the same moment is not doubted: %s', async (_what, packer, theirs) => {
    const { push, wal, rootOf, spool, directory, files } = await withPacker();
    if (!packer) await unlink(join(spool, 'packer'));
    const content = segmentBytes(SEGMENT);
    for (const [other, code, left] of [
      [content, 0, [PLAIN, PACKED]],
      [segmentBytes(SEGMENT), DIFFERENT, [theirs]],
    ] as const) {
      await rm(join(rootOf('local'), 'wal'), { recursive: true, force: true });
      await writeFile(join(directory, 'theirs'), theirs === PACKED ? zstd(other) : other);
      await mkdir(join(directory, 'bin'), { recursive: true });
      const ln = `#!/bin/sh\ncp '${join(directory, 'theirs')}' '${join(rootOf('local'), theirs)}'\nexec /bin/ln "$@"\n`;
      await writeFile(join(directory, 'bin/ln'), ln, { mode: 0o755 });
      const env = { PATH: `${join(directory, 'bin')}:${process.env['PATH']}` };
      expect(await push(await wal(SEGMENT, content), { env })).toMatchObject({ code });
      expect(await files(rootOf('local'))).toEqual(['cluster.json', ...left]);
    }
  });

  it('it is packed at once where another segment waits', async () => {
    const { push, wal, dataDirectory, rootOf, files } = await withPacker();
    const next = '000000010000000200000004';
    for (const name of [SEGMENT, next]) {
      await wal(name);
      await writeFile(join(dataDirectory, `pg_wal/archive_status/${name}.ready`), '');
    }
    expect(await push(`pg_wal/${SEGMENT}`)).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([`${SEGMENT}.zst`, `${next}.zst`]);
  });

  it('it is packed at once where many wait to be packed', async () => {
    const { push, wal, spool, rootOf, files } = await withPacker();
    for (let index = 0; index < 9; index += 1) await writeFile(join(spool, `pack/00000001000000010000000${index}`), '');
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([`${SEGMENT}.zst`]);
  });

  it.each([
    ['nobody packs', (spool: string) => unlink(join(spool, 'packer'))],
    ['the packer is gone', (spool: string) => writeFile(join(spool, 'packer'), `${process.pid} 1\n`)],
  ])('it is packed at once where %s', async (_what, change) => {
    const { push, wal, spool, rootOf, files } = await withPacker();
    await change(spool);
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([`${SEGMENT}.zst`]);
  });

  it('a second repository on this machine gets the packed one, with the first', async () => {
    const { push, wal, rootOf, files } = await withPacker({ locals: ['one', 'two'] });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    for (const name of ['one', 'two']) expect(await files(join(rootOf(name), FOLDER))).toEqual([`${SEGMENT}.zst`]);
  });

  it('a second repository that came later gets what the first holds as it is', async () => {
    const { push, wal, rootOf, files } = await withPacker({ locals: ['one', 'two'], ack: 'all' });
    const content = segmentBytes(SEGMENT);
    await mkdir(join(rootOf('one'), FOLDER), { recursive: true });
    await writeFile(join(rootOf('one'), PLAIN), content);
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('two'), FOLDER))).toEqual([`${SEGMENT}.zst`]);
    expect(execFileSync('zstd', ['-dc', join(rootOf('two'), PACKED)]).equals(content)).toBe(true);
  });

  it('nothing but whole segments is stored as it is', async () => {
    const { push, wal, rootOf, files } = await withPacker();
    expect(await push(await wal('00000003.history', Buffer.from('1\t0/3000000\tx\n')))).toMatchObject({ code: 0 });
    expect(await push(await wal(`${SEGMENT}.partial`, segmentBytes(SEGMENT)))).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), 'wal'))).toEqual([`${FOLDER.slice(4)}/${SEGMENT}.partial.zst`, '00000003.history.zst']);
  });

  it('nothing is stored in the clear where WAL is encrypted', async () => {
    const keys = execFileSync('age-keygen', [], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const { push, wal, rootOf, files } = await withPacker({ encryption: { recipients: [/public key: (age1\S+)/.exec(keys)?.[1] ?? ''] } });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(rootOf('local'))).toEqual(['cluster.json', `${PACKED}.age`]);
  });

  it('a foreign or shortened one is refused as ever', async () => {
    const { push, wal, rootOf, files } = await withPacker();
    for (const content of [segmentBytes(SEGMENT, { systemIdentifier: 1n }), segmentBytes(SEGMENT).subarray(1)])
      expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: NOT_WAL });
    expect(await files(rootOf('local'))).toEqual(['cluster.json']);
  });

  it('it leaves nothing half-written that can be seen when it is killed at any moment, and succeeds the next time', async () => {
    const { start, push, wal, rootOf, files } = await withPacker();
    const content = segmentBytes(SEGMENT, { bytes: 4 * MEBIBYTE });
    const path = await wal(SEGMENT, content);
    const stored = join(rootOf('local'), PLAIN);
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const { child, ended } = start(path);
      const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), attempt / 3);
      await ended;
      clearTimeout(timer);
      const there = await files(join(rootOf('local'), 'wal'));
      if (there.length > 0) expect((await readFile(stored)).equals(content)).toBe(true);
      if (attempt % 5 !== 4) continue;
      expect(await push(path)).toMatchObject({ code: 0 });
      await unlink(stored);
    }
    expect(await push(path)).toMatchObject({ code: 0 });
    expect(await files(rootOf('local'))).toEqual(['cluster.json', PLAIN]);
  });

  it.each(['fsync', 'write', 'linkat,rename,renameat,renameat2'])('it never succeeds where %s fails', async (calls) => {
    const { push, wal, rootOf, files } = await withPacker();
    const path = await wal(SEGMENT);
    const through = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}:error=EIO:when=1+`];
    const { code } = await push(path, { through });
    expect(code).toBeGreaterThanOrEqual(1);
    expect(code).toBeLessThanOrEqual(125);
    expect(await files(join(rootOf('local'), 'wal'))).toEqual([]);
    expect(await push(path)).toMatchObject({ code: 0 });
  });

  it('it is packed where it has no room as it is', async () => {
    // The program's own limit of a file in place of a disk's: 512 KiB.
    const { push, wal, rootOf, files } = await withPacker();
    const path = await wal(SEGMENT, segmentBytes(SEGMENT, { filling: 7 }));
    const through = ['/bin/sh', '-c', `ulimit -f 512; exec "$0" "$@"`];
    expect(await push(path, { through })).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([`${SEGMENT}.zst`]);
  });
});
