import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, '../../../bin/spoke-wal-get');
const SEGMENT = '000000010000000000000002';
const SEGMENT_BYTES = 1024 * 1024;

/** What the program is by itself: the whole engine is in front of it in the contract of engines. */
describe('spoke-wal-get', () => {
  let root: string;
  let conf: string;
  let content: Buffer;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'get'));
    conf = join(root, 'wal.conf');
    content = randomBytes(SEGMENT_BYTES);
    configure(['one']);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const directoryOf = (repository: string) => join(root, `re pository ${repository}`);
  const storedAt = (repository: string, name: string) =>
    join(directoryOf(repository), 'wal', name.includes('.history') ? '' : name.slice(0, 16), name);

  function configure(repositories: readonly string[], more = ''): void {
    for (const name of repositories) {
      mkdirSync(join(directoryOf(name), 'wal'), { recursive: true });
      writeFileSync(join(directoryOf(name), 'cluster.json'), `{ "layoutVersion": 1, "walSegmentBytes": ${SEGMENT_BYTES}, "x": 1 }\n`);
    }
    const calls = repositories.map((name) => `"$1" ${name} '${directoryOf(name)}' || return`);
    writeFileSync(conf, `layout=1\nhome_name=${repositories[0]}\neach_local() { ${calls.join('; ')}; }\neach_remote() { :; }\n${more}`);
  }

  function store(repository: string, name: string, packer: readonly string[], bytes: Buffer = content): void {
    const path = storedAt(repository, name);
    mkdirSync(dirname(path), { recursive: true });
    const [file = '', ...argv] = packer;
    writeFileSync(path, execFileSync(file, argv, { maxBuffer: 16 * SEGMENT_BYTES, input: bytes, stdio: ['pipe', 'pipe', 'ignore'] }));
  }
  const ZSTD = ['zstd', '-q', '-c', '--check'];
  const LZ4 = ['lz4', '-q', '-c'];

  function get(name: string, ...options: string[]) {
    const target = join(root, 'RECOVERYXLOG');
    rmSync(target, { force: true });
    const { status, stderr } = spawnSync(PROGRAM, ['-c', conf, ...options, name, target], { encoding: 'utf8' });
    const got = existsSync(target) ? readFileSync(target) : undefined;
    const left = readdirSync(root).filter((one) => one.startsWith('RECOVERYXLOG.'));
    return { status, stderr, got, left };
  }

  it.each([
    [`${SEGMENT}.zst`, ZSTD],
    [`${SEGMENT}.lz4`, LZ4],
  ])('brings what is stored as %s', (stored, packer) => {
    store('one', stored, packer);
    expect(get(SEGMENT)).toEqual({ status: 0, stderr: '', got: content, left: [] });
  });

  it('brings a segment that is stored as it is, and the packed one where that is damaged', () => {
    store('one', SEGMENT, ['cat']);
    expect(get(SEGMENT)).toEqual({ status: 0, stderr: '', got: content, left: [] });
    store('one', SEGMENT, ['cat'], content.subarray(1));
    expect(get(SEGMENT)).toMatchObject({ status: 65, got: undefined, stderr: expect.stringContaining('1048575 bytes') });
    store('one', `${SEGMENT}.zst`, ZSTD);
    expect(get(SEGMENT)).toMatchObject({ status: 0, got: content });
  });

  it('looks again for a segment that is packed just then', () => {
    store('one', SEGMENT, ['cat']);
    const path = storedAt('one', SEGMENT);
    mkdirSync(join(root, 'bin'));
    const packing = `#!/bin/sh\nzstd -q --rm '${path}'\nexec /bin/cat "$@"\n`;
    writeFileSync(join(root, 'bin/cat'), packing, { mode: 0o755 });
    const env = { ...process.env, PATH: `${join(root, 'bin')}:${process.env['PATH']}` };
    const ended = spawnSync(PROGRAM, ['-c', conf, SEGMENT, join(root, 'RECOVERYXLOG')], { encoding: 'utf8', env });
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(join(root, 'RECOVERYXLOG')).equals(content)).toBe(true);
  });

  it('brings the history of a timeline, which is of any length', () => {
    store('one', '00000002.history.zst', ZSTD, Buffer.from('1\t0/3000000\tno recovery target specified\n'));
    expect(get('00000002.history')).toMatchObject({ status: 0, got: Buffer.from('1\t0/3000000\tno recovery target specified\n') });
  });

  it('says by status 1, and by nothing else, that no repository has a file', () => {
    configure(['one', 'two']);
    for (const name of [SEGMENT, '00000009.history', `${SEGMENT}.partial`])
      expect(get(name)).toEqual({ status: 1, stderr: '', got: undefined, left: [] });
  });

  it('decrypts with the private key, and says where it is the wrong one', () => {
    const [mine, foreign] = ['mine', 'foreign'].map((name) => join(root, name)) as [string, string];
    for (const key of [mine, foreign]) execFileSync('age-keygen', ['-o', key], { stdio: 'ignore' });
    const recipient = execFileSync('age-keygen', ['-y', mine], { encoding: 'utf8' }).trim();
    store('one', `${SEGMENT}.zst.age`, ['sh', '-c', `${ZSTD.join(' ')} | age -r ${recipient}`]);
    configure(['one'], `identity_file='${mine}'\n`);
    expect(get(SEGMENT)).toMatchObject({ status: 0, got: content });
    configure(['one'], `identity_file='${foreign}'\n`);
    expect(get(SEGMENT)).toMatchObject({ status: 77, got: undefined, left: [], stderr: expect.stringContaining('ERROR: [no-key]') });
    configure(['one']);
    expect(get(SEGMENT)).toMatchObject({ status: 77, got: undefined });
    writeFileSync(storedAt('one', `${SEGMENT}.zst.age`), 'not what age writes, and secret');
    configure(['one'], `identity_file='${mine}'\n`);
    const damaged = get(SEGMENT);
    expect(damaged).toMatchObject({ status: 65, got: undefined, left: [] });
    expect(damaged.stderr).not.toContain('secret');
  });

  it('tells what is damaged from what is not there, and lets another repository have it', () => {
    store('one', `${SEGMENT}.zst`, ZSTD);
    const bytes = readFileSync(storedAt('one', `${SEGMENT}.zst`));
    bytes[700_000] = (bytes[700_000] ?? 0) ^ 1;
    writeFileSync(storedAt('one', `${SEGMENT}.zst`), bytes);
    expect(get(SEGMENT)).toMatchObject({
      status: 65,
      got: undefined,
      left: [],
      stderr: expect.stringMatching(/^spoke-wal-get: ERROR: \[damaged\]: 0{7}1/),
    });
    configure(['one', 'two']);
    expect(get(SEGMENT).status).toBe(65);
    store('two', `${SEGMENT}.lz4`, LZ4);
    expect(get(SEGMENT)).toMatchObject({ status: 0, got: content });
    expect(get(SEGMENT, '-r', 'one').status).toBe(65);
  });

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 5)],
    ['empty', () => Buffer.alloc(0)],
  ])('takes no file that is %s', (_what, damage) => {
    for (const [suffix, packer] of [
      ['zst', ZSTD],
      ['lz4', LZ4],
    ] as const) {
      store('one', `${SEGMENT}.${suffix}`, packer);
      writeFileSync(storedAt('one', `${SEGMENT}.${suffix}`), damage(readFileSync(storedAt('one', `${SEGMENT}.${suffix}`))));
      expect(get(SEGMENT)).toMatchObject({ status: 65, got: undefined, left: [] });
      rmSync(storedAt('one', `${SEGMENT}.${suffix}`));
    }
  });

  it('takes no segment of another size', () => {
    store('one', `${SEGMENT}.zst`, ZSTD, content.subarray(1));
    expect(get(SEGMENT)).toMatchObject({ status: 65, got: undefined, stderr: expect.stringContaining('1048575 bytes') });
  });

  it('calls nothing missing that it could not look for', () => {
    rmSync(join(directoryOf('one'), 'cluster.json'));
    expect(get(SEGMENT)).toMatchObject({ status: 69, stderr: expect.stringContaining('[unavailable]') });
    configure(['one']);
    expect(get(SEGMENT, '-r', 'other').status).toBe(69);
    writeFileSync(conf, 'layout=2\n');
    expect(get(SEGMENT).status).toBe(69);
    rmSync(conf);
    expect(get(SEGMENT).status).toBe(69);
  });

  it.runIf(process.getuid?.() === 0)('calls nothing missing that another user may not see', () => {
    store('one', `${SEGMENT}.zst`, ZSTD);
    for (const path of [root, directoryOf('one'), join(directoryOf('one'), 'wal')]) chmodSync(path, 0o755);
    chmodSync(join(directoryOf('one'), 'wal', SEGMENT.slice(0, 16)), 0o700);
    const argv = ['--reuid=65534', '--clear-groups', PROGRAM, '-c', conf, SEGMENT, '/tmp/never'];
    expect(spawnSync('setpriv', argv, { encoding: 'utf8' })).toMatchObject({
      status: 69,
      stderr: expect.stringContaining('[unavailable]'),
    });
  });

  it('ends with a status of its own on signals and wrong use, never above 125', () => {
    expect(spawnSync(PROGRAM, ['-c', conf, SEGMENT]).status).toBe(64);
    expect(spawnSync(PROGRAM, ['--wrong', SEGMENT, 'x']).status).toBe(64);
    expect(get('not-a-wal-file')).toMatchObject({ status: 1, got: undefined });
    const ends = spawnSync('sh', ['-c', `printf 'kill -TERM $$\\n' >> '${conf}'; '${PROGRAM}' -c '${conf}' ${SEGMENT} x`]);
    expect(ends.status).toBe(75);
  });

  describe('beside a fetcher that never answers', () => {
    let ahead: string;
    let fetcher: ChildProcess;

    beforeEach(() => {
      ahead = join(root, 'ahead');
      for (const name of ['ready', 'wanted', 'answers']) mkdirSync(join(ahead, name), { recursive: true });
      store('one', `${SEGMENT}.zst`, ZSTD);
      fetcher = spawn('sleep', ['60'], { stdio: 'ignore' });
      const stat = readFileSync(`/proc/${fetcher.pid}/stat`, 'utf8');
      writeFileSync(join(ahead, 'fetcher'), `${fetcher.pid} ${stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19]}\n`);
    });
    afterEach(() => fetcher.kill('SIGKILL'));

    it('looks itself at once where that was stopped', async () => {
      fetcher.kill('SIGSTOP');
      await expect.poll(() => readFileSync(`/proc/${fetcher.pid}/stat`, 'utf8').split(' ')[2]).toBe('T');
      expect(get(SEGMENT, '-a', ahead)).toMatchObject({ status: 0, got: content });
    });

    it('looks itself in the end where that lives', () => {
      const impatient = join(root, 'spoke-wal-get');
      writeFileSync(impatient, readFileSync(PROGRAM, 'utf8').replace(/^MOST_WAITS=\d+$/m, 'MOST_WAITS=120'), { mode: 0o755 });
      const target = join(root, 'RECOVERYXLOG');
      const startedMs = performance.now();
      execFileSync(impatient, ['-c', conf, '-a', ahead, SEGMENT, target]);
      expect(readFileSync(target).equals(content)).toBe(true);
      // 120 times 10 ms.
      expect(performance.now() - startedMs).toBeGreaterThan(1000);
    });
  });

  it('takes what was fetched ahead, and an answer that somebody alive gives', () => {
    const ahead = join(root, 'ahead');
    for (const name of ['ready', 'wanted', 'answers']) mkdirSync(join(ahead, name), { recursive: true });
    writeFileSync(join(ahead, 'ready', SEGMENT), content);
    expect(get(SEGMENT, '-a', ahead)).toMatchObject({ status: 0, got: content });
    expect(readdirSync(join(ahead, 'ready'))).toEqual([]);
    const stat = readFileSync('/proc/self/stat', 'utf8');
    writeFileSync(join(ahead, 'fetcher'), `${process.pid} ${stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19]}\n`);
    // An old answer does not count: a new one comes when the file is asked for.
    writeFileSync(join(ahead, 'answers', SEGMENT), '1 not-there \n');
    const answering = `until [ -e '${ahead}/wanted/${SEGMENT}' ]; do sleep 0.01; done; echo '65 damaged it is damaged' > '${ahead}/answers/${SEGMENT}'`;
    const ends = spawnSync(
      'sh',
      ['-c', `(${answering}) & '${PROGRAM}' -c '${conf}' -a '${ahead}' ${SEGMENT} '${root}/x'; status=$?; wait; exit $status`],
      { encoding: 'utf8' },
    );
    expect(ends).toMatchObject({ status: 65, stderr: 'spoke-wal-get: ERROR: [damaged]: 000000010000000000000002: it is damaged\n' });
    writeFileSync(join(ahead, 'fetcher'), `${process.pid} 1\n`);
    store('one', `${SEGMENT}.zst`, ZSTD);
    expect(get(SEGMENT, '-a', ahead)).toMatchObject({ status: 0, got: content });
  });

  it('is found through a link', () => {
    store('one', `${SEGMENT}.zst`, ZSTD);
    symlinkSync(PROGRAM, join(root, 'linked'));
    expect(spawnSync(join(root, 'linked'), ['-c', conf, SEGMENT, join(root, 'out')]).status).toBe(0);
  });
});
