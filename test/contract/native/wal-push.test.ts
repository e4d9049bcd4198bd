import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { withMounts } from '../privileges.ts';
import {
  createPlace,
  MEBIBYTE,
  noteLiving,
  type PlaceOptions,
  PROGRAM,
  type PushPlace,
  segmentBytes,
  SYSTEM_IDENTIFIER,
  writeCluster,
} from './wal-push-harness.ts';

const SEGMENT = '000000010000000200000003';
const FOLDER = 'wal/0000000100000002';
const DIFFERENT = 45;
const NOT_WAL = 65;
const UNAVAILABLE = 69;
const IO_ERROR = 74;
const TRY_AGAIN = 75;

const places: PushPlace[] = [];

async function place(options?: PlaceOptions): Promise<PushPlace> {
  const made = await createPlace(options);
  places.push(made);
  return made;
}

afterEach(async () => {
  for (const made of places.splice(0)) await made.remove();
});

/** What the standard tools, not ours, find in a stored file. */
function unpacked(path: string): Buffer {
  return execFileSync(path.endsWith('.zst') ? 'zstd' : 'lz4', ['-dc', path], { maxBuffer: 128 * MEBIBYTE });
}

describe('a segment', () => {
  it.each(['zst', 'lz4'] as const)('is stored with a checksum of its content, as %s', async (compressType) => {
    const { push, wal, rootOf, files } = await place({ compressType });
    const content = segmentBytes(SEGMENT);
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0, stderr: '' });
    expect(await files(rootOf('local'))).toEqual(['cluster.json', `${FOLDER}/${SEGMENT}.${compressType}`]);
    const stored = join(rootOf('local'), FOLDER, `${SEGMENT}.${compressType}`);
    expect(unpacked(stored).equals(content)).toBe(true);
    const bytes = readFileSync(stored);
    // zstd: Frame_Header_Descriptor, bit 2 (RFC 8878); lz4: FLG, bit 2 (its frame format).
    expect((bytes[4] ?? 0) & 0b100).toBe(0b100);
    expect((await stat(stored)).mode & 0o077).toBe(0);
  });

  it.each([1, 64])('of %s MB is stored', async (megabytes) => {
    const { push, wal, rootOf } = await place();
    const content = segmentBytes(SEGMENT, { bytes: megabytes * MEBIBYTE, filling: 7 });
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0 });
    expect(unpacked(join(rootOf('local'), FOLDER, `${SEGMENT}.zst`)).equals(content)).toBe(true);
  });

  it('is a success again with the same bytes, also where it was compressed in another way', async () => {
    const { push, wal, rootOf } = await place();
    const path = await wal(SEGMENT);
    expect(await push(path)).toMatchObject({ code: 0 });
    const stored = join(rootOf('local'), FOLDER, `${SEGMENT}.zst`);
    execFileSync('zstd', ['-q', '-f', '-9', '--check', join(path), '-o', stored], { cwd: join(rootOf('local'), '../data') });
    const before = await readFile(stored);
    expect(await push(path)).toMatchObject({ code: 0, stderr: '' });
    expect((await readFile(stored)).equals(before)).toBe(true);
  });

  it('is refused with other bytes, which changes nothing and is noted for the alarm until it is over', async () => {
    const { push, wal, rootOf, spool } = await place();
    const first = segmentBytes(SEGMENT);
    expect(await push(await wal(SEGMENT, first))).toMatchObject({ code: 0 });
    const refused = await push(await wal(SEGMENT));
    expect(refused).toMatchObject({ code: DIFFERENT });
    expect(refused.stderr).toContain('holds other bytes');
    expect(unpacked(join(rootOf('local'), FOLDER, `${SEGMENT}.zst`)).equals(first)).toBe(true);
    expect(await readFile(join(spool, 'failed', SEGMENT), 'utf8')).toMatch(/^local\n.*holds other bytes/);
    expect(await push(await wal(SEGMENT, first))).toMatchObject({ code: 0 });
    await expect(stat(join(spool, 'failed', SEGMENT))).rejects.toThrow('ENOENT');
  });

  it('is refused where what is stored is damaged, and nothing is overwritten', async () => {
    const { push, wal, rootOf } = await place();
    const path = await wal(SEGMENT);
    await push(path);
    const stored = join(rootOf('local'), FOLDER, `${SEGMENT}.zst`);
    await truncate(stored, 1000);
    expect(await push(path)).toMatchObject({ code: DIFFERENT });
    expect((await stat(stored)).size).toBe(1000);
  });

  it.each([
    ['another cluster', { systemIdentifier: SYSTEM_IDENTIFIER + 1n }, /of another cluster \(system identifier 7300000000000000002\)/],
    ['a cluster of after 2038', { systemIdentifier: 17_300_000_000_000_000_001n }, /system identifier 17300000000000000001/],
    ['a later timeline', { timeline: 2 }, /is of timeline 2/],
    ['another position', { positionOf: '000000010000000200000004' }, /is of position 00000002\/00400000/],
    ['something else', { magic: 0x1234 }, /does not begin as a WAL segment does/],
    ['no segment size', { bytes: 3 * MEBIBYTE }, /segments have 3145728 bytes/],
  ] as const)('of %s is refused by its header', async (_what, options, said) => {
    const { push, wal, rootOf, files } = await place();
    const refused = await push(await wal(SEGMENT, segmentBytes(SEGMENT, options)));
    expect(refused).toMatchObject({ code: NOT_WAL });
    expect(refused.stderr).toMatch(said);
    expect(await files(rootOf('local'))).toEqual(['cluster.json']);
  });

  it('of an older timeline is taken: a new one begins with a copy of it', async () => {
    const { push, wal } = await place();
    const name = `00000003${SEGMENT.slice(8)}`;
    expect(await push(await wal(name, segmentBytes(name, { timeline: 2 })))).toMatchObject({ code: 0 });
  });

  it.each([0, 20, MEBIBYTE / 2])('that is cut to %s bytes is refused', async (bytes) => {
    const { push, wal, dataDirectory, rootOf, files } = await place();
    const path = await wal(SEGMENT);
    await truncate(join(dataDirectory, path), bytes);
    expect(await push(path)).toMatchObject({ code: NOT_WAL });
    expect(await files(rootOf('local'))).toEqual(['cluster.json']);
  });
});

describe('other files', () => {
  const HISTORY = '1\t0/3000000\tno recovery target specified\n\n2\t1/A0B0C0D0\tat restore point "x"\n';

  it('of a promotion are stored: the history, and the partial segment', async () => {
    const { push, wal, rootOf, files } = await place();
    expect(await push(await wal('00000003.history', Buffer.from(HISTORY)))).toMatchObject({ code: 0 });
    expect(await push(await wal(`${SEGMENT}.partial`, segmentBytes(SEGMENT)))).toMatchObject({ code: 0 });
    const note = Buffer.from('START WAL LOCATION: 2/3000028 (file 000000010000000200000003)\n');
    expect(await push(await wal(`${SEGMENT}.00000028.backup`, note))).toMatchObject({ code: 0 });
    expect(await files(rootOf('local'))).toEqual([
      'cluster.json',
      `${FOLDER}/${SEGMENT}.00000028.backup.zst`,
      `${FOLDER}/${SEGMENT}.partial.zst`,
      'wal/00000003.history.zst',
    ]);
  });

  it('of a history never change', async () => {
    const { push, wal } = await place();
    expect(await push(await wal('00000003.history', Buffer.from(HISTORY)))).toMatchObject({ code: 0 });
    expect(await push(await wal('00000003.history', Buffer.from(HISTORY)))).toMatchObject({ code: 0 });
    expect(await push(await wal('00000003.history', Buffer.from(HISTORY.replace('A0B0', 'A0B1'))))).toMatchObject({ code: DIFFERENT });
  });

  it.each(['1\tnonsense\tx\n', 'x\t0/1\ty\n', '1\n', '\0\0\0\n'])('that are no history are refused: %j', async (text) => {
    const { push, wal } = await place();
    expect(await push(await wal('00000003.history', Buffer.from(text)))).toMatchObject({ code: NOT_WAL });
  });

  it.each(['postgresql.conf', `${SEGMENT}.old`, SEGMENT.slice(1), `${SEGMENT.slice(0, 23)}g`, `${SEGMENT}\n`, '$(touch x)', '-n', "a'b"])(
    'that do not belong into the archive are refused: %j',
    async (name) => {
      const { push, wal, rootOf, files, dataDirectory } = await place();
      expect(await push(await wal(name, segmentBytes(SEGMENT)))).toMatchObject({ code: NOT_WAL });
      expect(await files(rootOf('local'))).toEqual(['cluster.json']);
      expect(await files(dataDirectory)).toEqual([`pg_wal/${name}`]);
    },
  );
});

describe('how it is called', () => {
  it('takes any path: absolute, with hostile characters, beginning with a dash', async () => {
    const { push, directory, rootOf, files } = await place();
    const folder = join(directory, `a b'"$(x)\n;*\\`);
    await mkdir(folder);
    await writeFile(join(folder, SEGMENT), segmentBytes(SEGMENT));
    expect(await push(join(folder, SEGMENT))).toMatchObject({ code: 0 });
    const dashed = '000000010000000200000004';
    await mkdir(join(directory, 'data/-c'));
    await writeFile(join(directory, 'data/-c', dashed), segmentBytes(dashed));
    expect(await push(`-c/${dashed}`)).toMatchObject({ code: 64 });
    expect((await files(rootOf('local'))).length).toBe(2);
  });

  it('works out of directories with hostile names', async () => {
    const { push, wal } = await place({ directoryName: `p 'q"$(x)*;\\é` });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0, stderr: '' });
  });

  it('is told to PostgreSQL with what has to be written next where CONF is missing', async () => {
    const { push, wal, directory } = await place();
    const ended = await push(await wal(SEGMENT), { conf: join(directory, 'none') });
    expect(ended.code).toBe(UNAVAILABLE);
    expect(ended.stderr).toMatch(/^spoke-wal-push: .*cannot be read\. Write it: spoke-backup setup archiving\.\n$/);
  });

  it('refuses a place that is not set up: it may not be mounted', async () => {
    const { push, wal, rootOf, files } = await place();
    await unlink(join(rootOf('local'), 'cluster.json'));
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: UNAVAILABLE });
    expect(await files(rootOf('local'))).toEqual([]);
  });

  it.each(['zstd', 'sync', 'ln', 'od'])('ends with a status that PostgreSQL can take where %s is missing', async (missing) => {
    const { push, wal, directory, rootOf, files } = await place();
    const path = await wal(SEGMENT);
    await mkdir(join(directory, 'bin'));
    for (const tool of ['zstd', 'sync', 'ln', 'od', 'stat', 'rm', 'mkdir', 'mv'])
      if (tool !== missing)
        await symlink(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), join(directory, 'bin', tool));
    // The program adds the usual places to PATH.
    const program = join(directory, 'push');
    await writeFile(program, (await readFile(PROGRAM, 'utf8')).replace('PATH=$PATH:/usr/bin:/bin', `PATH='${directory}/bin'`));
    const ended = await push(path, { through: ['/bin/sh', '-c', 'shift; exec /bin/sh "$0" "$@"', program] });
    // mv can do what ln does.
    if (missing === 'ln') expect(ended.code).toBe(0);
    else {
      expect(ended.code).toBeGreaterThanOrEqual(1);
      expect(ended.code).toBeLessThanOrEqual(125);
      expect(await files(join(rootOf('local'), 'wal'))).toEqual([]);
    }
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1'] as const)('ends with a status of its own on %s', async (signal) => {
    const { start, wal, rootOf, files } = await place();
    const path = await wal(SEGMENT, segmentBytes(SEGMENT, { bytes: 64 * MEBIBYTE }));
    const { child, ended } = start(path);
    await untilBusy(child.pid ?? 0);
    process.kill(-(child.pid ?? 0), signal);
    const { code, signal: by } = await ended;
    expect(by).toBeNull();
    expect(code).toBeGreaterThanOrEqual(1);
    expect(code).toBeLessThanOrEqual(125);
    // A folder that is not known to be durable is noted as that.
    const left = (await files(rootOf('local'))).filter((file) => !file.startsWith('.tmp/making-'));
    expect(left).toEqual(['cluster.json']);
  });
});

/** Until the program has children: it is at work. */
async function untilBusy(pid: number): Promise<void> {
  for (;;) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => 'gone');
    if (children !== '') return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('faults', () => {
  it('leaves nothing half-written that can be seen when it is killed at any moment, and succeeds the next time', async () => {
    const { start, push, wal, rootOf, files } = await place();
    const stored = join(rootOf('local'), FOLDER, `${SEGMENT}.zst`);
    const content = segmentBytes(SEGMENT, { bytes: 4 * MEBIBYTE });
    const path = await wal(SEGMENT, content);
    for (let attempt = 0; attempt < 60; attempt += 1) {
      const { child, ended } = start(path);
      const killAfterMs = attempt / 2;
      const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), killAfterMs);
      await ended;
      clearTimeout(timer);
      const there = (await files(join(rootOf('local'), 'wal'))).filter((name) => !name.startsWith('.'));
      if (there.length > 0) expect(unpacked(stored).equals(content)).toBe(true);
      if (attempt % 6 === 5) {
        expect(await push(path)).toMatchObject({ code: 0 });
        await unlink(stored);
      }
    }
    expect(await push(path)).toMatchObject({ code: 0 });
    // What the killed ones were writing is gone, too.
    expect(await files(rootOf('local'))).toEqual(['cluster.json', `${FOLDER}/${SEGMENT}.zst`]);
  });

  it.each(['fsync', 'write', 'linkat,rename,renameat,renameat2'])('never succeeds where %s fails', async (calls) => {
    const { push, wal, rootOf, files } = await place();
    const path = await wal(SEGMENT);
    const through = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}:error=EIO:when=1+`];
    const { code } = await push(path, { through });
    expect(code).toBeGreaterThanOrEqual(1);
    expect(code).toBeLessThanOrEqual(125);
    expect(await files(join(rootOf('local'), 'wal'))).toEqual([]);
    expect(await push(path)).toMatchObject({ code: 0 });
  });

  it('never succeeds where the fsync of the directory fails, though the file is there, and makes it durable the next time', async () => {
    const { push, wal, rootOf } = await place();
    const path = await wal(SEGMENT);
    const other = '000000010000000200000004';
    expect(await push(await wal(other))).toMatchObject({ code: 0 });
    const injected = (when: string) => [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-P',
      join(rootOf('local'), FOLDER),
      '-e',
      `inject=fsync:error=EIO:when=${when}`,
    ];
    expect(await push(path, { through: injected('1+') })).toMatchObject({ code: IO_ERROR });
    expect(await stat(join(rootOf('local'), FOLDER, `${SEGMENT}.zst`))).toBeDefined();
    expect(await push(path, { through: injected('1+') })).toMatchObject({ code: IO_ERROR });
    expect(await push(path)).toMatchObject({ code: 0 });
  });

  /** A file system of 1.5 MiB, within which one segment that cannot be made smaller has room. */
  async function onSmallDisk(at: (made: PushPlace) => string, options: PlaceOptions, body: (made: PushPlace) => Promise<void>) {
    const made = await place(options);
    const [path, note] = [at(made), await readFile(join(at(made), 'cluster.json'))];
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1536k', 'tmpfs', path]);
    try {
      await writeFile(join(path, 'cluster.json'), note);
      await body(made);
    } finally {
      execFileSync('umount', [path]);
    }
  }

  const SECOND = '000000010000000200000004';

  withMounts('says that a full repository is full, shows nothing half-written and goes on when there is room', async () => {
    const at = ({ rootOf }: PushPlace) => rootOf('local');
    await onSmallDisk(at, {}, async ({ push, wal, rootOf, files }) => {
      expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
      const content = segmentBytes(SECOND);
      const refused = await push(await wal(SECOND, content));
      expect(refused).toMatchObject({ code: IO_ERROR, stderr: expect.stringContaining('Look at its space') as string });
      expect(await files(rootOf('local'))).toEqual(['cluster.json', `${FOLDER}/${SEGMENT}.zst`]);
      execFileSync('mount', ['-o', 'remount,size=8m', rootOf('local')]);
      expect(await push(await wal(SECOND, content))).toMatchObject({ code: 0 });
      expect(unpacked(join(rootOf('local'), FOLDER, `${SECOND}.zst`)).equals(content)).toBe(true);
    });
  });

  withMounts('acknowledges nothing that a full spool does not hold', async () => {
    const at = ({ spool }: PushPlace) => join(spool, 'home');
    await onSmallDisk(at, { locals: [], remotes: ['s3'] }, async ({ push, wal, spool, files }) => {
      expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
      expect(await push(await wal(SECOND))).toMatchObject({ code: IO_ERROR });
      expect(await files(join(spool, 'todo'))).toEqual([`s3/${SEGMENT}.zst`]);
    });
  });

  withMounts('takes the segment into the others where one of them is full, and misses it there only with ack all', async () => {
    const at = ({ rootOf }: PushPlace) => rootOf('two');
    for (const [ack, code] of [
      ['local', 0],
      ['all', IO_ERROR],
    ] as const)
      await onSmallDisk(at, { locals: ['one', 'two'], ack }, async ({ push, wal, rootOf, files }) => {
        expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
        expect(await push(await wal(SECOND))).toMatchObject({ code });
        expect((await files(rootOf('one'))).length).toBe(3);
        expect(await files(rootOf('two'))).toEqual(['cluster.json', `${FOLDER}/${SEGMENT}.zst`]);
      });
  });
});

describe('several repositories', () => {
  it('on this machine get the same bytes', async () => {
    const { push, wal, rootOf } = await place({ locals: ['one', 'two'] });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    const [one, two] = await Promise.all(['one', 'two'].map((name) => readFile(join(rootOf(name), FOLDER, `${SEGMENT}.zst`))));
    expect(one?.equals(two ?? Buffer.of())).toBe(true);
  });

  it('that is away does not hold up the others with ack local, and is left to the shipper', async () => {
    const { push, wal, rootOf, spool, files } = await place({ locals: ['one', 'two'] });
    await rm(rootOf('two'), { recursive: true });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(spool)).toEqual([`todo/two/${SEGMENT}.zst`]);
  });

  it('that is away is missed with ack all', async () => {
    const { push, wal, rootOf } = await place({ locals: ['one', 'two'], ack: 'all' });
    await rm(rootOf('two'), { recursive: true });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: UNAVAILABLE });
  });

  it('that is of another cluster gets nothing', async () => {
    const { push, wal, rootOf, files } = await place({ locals: ['one', 'two'], ack: 'all' });
    await writeCluster(rootOf('two'), SYSTEM_IDENTIFIER + 1n);
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: NOT_WAL });
    expect(await files(rootOf('two'))).toEqual(['cluster.json']);
  });

  it('elsewhere are hinted at', async () => {
    const { push, wal, spool, files } = await place({ remotes: ['s3', 'far'] });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(spool)).toEqual([`todo/far/${SEGMENT}.zst`, `todo/s3/${SEGMENT}.zst`]);
  });

  it('elsewhere fail within 100 ms with ack all where nobody ships', async () => {
    const { push, wal, spool } = await place({ remotes: ['s3'], ack: 'all' });
    const path = await wal(SEGMENT);
    await push(path);
    const times: number[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const ended = await push(path);
      expect(ended.code).toBe(TRY_AGAIN);
      expect(ended.stderr).toContain('Start it: spoke-backup daemon');
      times.push(ended.ms);
    }
    expect(Math.min(...times)).toBeLessThan(100);
    // The number of a process of today does not make it the one that shipped.
    await writeFile(join(spool, 'shipper'), `${process.pid} 1\n`);
    expect(await push(path)).toMatchObject({ code: TRY_AGAIN });
  });

  it('elsewhere are waited for with ack all, and no longer than CONF says', async () => {
    const { push, start, wal, spool } = await place({ remotes: ['s3'], ack: 'all', ackTimeoutSeconds: 1 });
    const path = await wal(SEGMENT);
    await noteLiving(spool, 'shipper');
    const hung = await push(path);
    expect(hung.code).toBe(TRY_AGAIN);
    expect(hung.ms).toBeGreaterThan(1000);
    await writeFile(join(spool, 'errors/s3'), '\nthe bucket is gone. Look.\n');
    expect((await push(path)).stderr).toContain('the bucket is gone');
    const { ended } = start(path);
    const hint = join(spool, `todo/s3/${SEGMENT}.zst`);
    await unlink(hint);
    // It is left anew by each push.
    while ((await stat(hint).catch(() => undefined)) === undefined) await new Promise((resolve) => setImmediate(resolve));
    await unlink(hint);
    expect(await ended).toMatchObject({ code: 0 });
  });

  it('elsewhere alone: WAL is durable in the spool', async () => {
    const { push, wal, spool, files } = await place({ locals: [], remotes: ['s3'] });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: 0 });
    expect(await files(spool)).toEqual(['home/cluster.json', `home/${FOLDER}/${SEGMENT}.zst`, `todo/s3/${SEGMENT}.zst`]);
  });
});

describe('encrypted', () => {
  async function encrypted(more: PlaceOptions = {}) {
    const keys = execFileSync('age-keygen', [], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const recipient = /public key: (age1\S+)/.exec(keys)?.[1] ?? '';
    const made = await place({ ...more, encryption: { recipients: [recipient] } });
    const keyFile = join(made.directory, 'key');
    await writeFile(keyFile, keys, { mode: 0o600 });
    const stored = join(made.rootOf('local'), FOLDER, `${SEGMENT}.zst.age`);
    const plain = () =>
      execFileSync('zstd', ['-dc'], {
        input: execFileSync('age', ['-d', '-i', keyFile, stored], { maxBuffer: 4 * MEBIBYTE }),
        maxBuffer: 4 * MEBIBYTE,
      });
    return { ...made, keyFile, stored, plain };
  }

  it('is what only the key opens', async () => {
    const { push, wal, plain } = await encrypted();
    const content = segmentBytes(SEGMENT);
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0, stderr: '' });
    expect(plain().equals(content)).toBe(true);
  });

  it('is recognised as the same without the key, and refused where it is not', async () => {
    const { push, wal, stored } = await encrypted();
    const content = segmentBytes(SEGMENT);
    await push(await wal(SEGMENT, content));
    const before = await readFile(stored);
    expect(await push(await wal(SEGMENT, content))).toMatchObject({ code: 0 });
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: DIFFERENT });
    expect((await readFile(stored)).equals(before)).toBe(true);
  });

  it('is refused where the notes are lost and the key is elsewhere, and taken where the key is here', async () => {
    const { push, wal, spool, keyFile, conf } = await encrypted();
    const path = await wal(SEGMENT);
    await push(path);
    await rm(join(spool, 'sums', FOLDER.slice(4)));
    const refused = await push(path);
    expect(refused.code).toBe(DIFFERENT);
    expect(refused.stderr).toContain('whether it is the same cannot be told');
    await copyFile(conf, `${conf}.key`);
    await writeFile(`${conf}.key`, (await readFile(conf, 'utf8')).replace("identity_file=''", `identity_file='${keyFile}'`));
    expect(await push(path, { conf: `${conf}.key` })).toMatchObject({ code: 0 });
    expect(await push(await wal(SEGMENT), { conf: `${conf}.key` })).toMatchObject({ code: DIFFERENT });
  });

  it('is not stored where age fails half way', async () => {
    const { push, wal, settings, rootOf, files } = await encrypted();
    await writeFile(join(settings.directory, 'recipients'), 'age1nonsense\n');
    expect(await push(await wal(SEGMENT))).toMatchObject({ code: IO_ERROR });
    expect(await files(rootOf('local'))).toEqual(['cluster.json']);
  });
});

describe('a backlog', () => {
  const name = (index: number) => `0000000100000002${index.toString(16).toUpperCase().padStart(8, '0')}`;

  async function backlog(count: number, from: number, options?: PlaceOptions) {
    const made = await place(options);
    for (let index = from; index < from + count; index += 1) {
      await made.wal(name(index));
      await writeFile(join(made.dataDirectory, 'pg_wal/archive_status', `${name(index)}.ready`), '');
    }
    return made;
  }

  it('is stored several segments at a time, each acknowledged only when PostgreSQL asks', async () => {
    const { push, rootOf, files, dataDirectory } = await backlog(6, 9);
    expect(await push(`pg_wal/${name(9)}`)).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([9, 10, 11, 12].map((index) => `${name(index)}.zst`));
    expect((await files(join(dataDirectory, 'pg_wal/archive_status'))).length).toBe(6);
    for (let index = 10; index < 15; index += 1) expect(await push(`pg_wal/${name(index)}`)).toMatchObject({ code: 0, stderr: '' });
    expect((await files(join(rootOf('local'), FOLDER))).length).toBe(6);
  });

  it('acknowledges nothing by a note that is of another file', async () => {
    const { push, wal } = await backlog(3, 9);
    await push(`pg_wal/${name(9)}`);
    expect(await push(await wal(name(10)))).toMatchObject({ code: DIFFERENT });
    expect(await push(`pg_wal/${name(11)}`)).toMatchObject({ code: 0 });
  });

  it('acknowledges nothing by a note of what is gone', async () => {
    const { push, rootOf } = await backlog(2, 9);
    await push(`pg_wal/${name(9)}`);
    const stored = join(rootOf('local'), FOLDER, `${name(10)}.zst`);
    await unlink(stored);
    expect(await push(`pg_wal/${name(10)}`)).toMatchObject({ code: 0 });
    expect(await stat(stored)).toBeDefined();
  });

  it('goes on in the next 4 GiB', async () => {
    const { push, wal, dataDirectory, rootOf, files } = await backlog(1, 0xfff);
    const next = '000000010000000300000000';
    await wal(next);
    await writeFile(join(dataDirectory, `pg_wal/archive_status/${next}.ready`), '');
    expect(await push(`pg_wal/${name(0xfff)}`)).toMatchObject({ code: 0 });
    expect(await files(join(rootOf('local'), 'wal'))).toEqual([`0000000100000002/${name(0xfff)}.zst`, `0000000100000003/${next}.zst`]);
  });

  it('is not held up by a segment that cannot be stored', async () => {
    const { push, wal, rootOf, files } = await backlog(3, 9);
    await wal(name(10), Buffer.from('nonsense'));
    const first = await push(`pg_wal/${name(9)}`);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await files(join(rootOf('local'), FOLDER))).toEqual([`${name(9)}.zst`, `${name(11)}.zst`]);
    expect(await push(`pg_wal/${name(10)}`)).toMatchObject({ code: NOT_WAL });
  });
});
