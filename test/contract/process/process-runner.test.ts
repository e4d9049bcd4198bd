import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { ProcessRequest } from '../../../src/ports/process-runner.ts';
import { asRoot } from '../privileges.ts';

const EXECUTABLES = fileURLToPath(new URL('../../fixtures/executables', import.meta.url));
const HOST = fileURLToPath(new URL('./host-program.ts', import.meta.url));
const POSTGRES = postgresAccount();

const runner = createProcessRunner({ graceMs: 300 });
const strays: number[] = [];

function request(file: string, more: Partial<ProcessRequest> = {}): ProcessRequest {
  const path = file.includes('/') ? file : join(EXECUTABLES, file);
  return { file: path, argv: [], signal: new AbortController().signal, timeoutMs: 20_000, ...more };
}

async function errorOf(run: Promise<unknown>): Promise<SpokeError> {
  const thrown: unknown = await run.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof SpokeError) return thrown;
  throw new Error(`expected a SpokeError, got ${String(thrown)}`);
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} still lives`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function postgresAccount(): { uid: number; gid: number; home: string } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid, , home] = (line ?? '').split(':');
  if (!uid || !gid || !home) throw new Error('This machine has no user postgres.');
  return { uid: Number(uid), gid: Number(gid), home };
}

afterEach(() => {
  for (const pid of strays.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
});

describe('what a process is given', () => {
  it('gets its arguments as they are, without a shell in between', async () => {
    const argv = ['$(id)', 'a b', '', '*', "'; exit 3", '-n', 'ü'];
    const { stdout, exitCode } = await runner.run(request('prints-itself', { argv }));
    expect(stdout).toBe(argv.map((argument) => `<${argument}>\n`).join(''));
    expect(exitCode).toBe(0);
  });

  it('gets a minimal environment and what was added to it, and nothing of ours', async () => {
    process.env['SPOKE_TEST_CANARY'] = 'secret';
    const { stdout } = await runner.run(request('/usr/bin/env', { environment: { PGAPPNAME: 'x' } }));
    delete process.env['SPOKE_TEST_CANARY'];
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0] ?? '');
    expect(names.sort()).toEqual(
      ['HOME', 'LANG', 'LC_ALL', 'LOGNAME', 'PATH', 'PGAPPNAME', 'USER', ...(process.env['TZ'] === undefined ? [] : ['TZ'])].sort(),
    );
  });

  it('starts in / where no directory is given, in that directory otherwise', async () => {
    expect((await runner.run(request('/bin/pwd'))).stdout).toBe('/\n');
    expect((await runner.run(request('/bin/pwd', { cwd: '/usr' }))).stdout).toBe('/usr\n');
  });

  it('gets its input, and a process that does not read it is no error', async () => {
    expect((await runner.run(request('/bin/cat', { input: 'one\ntwo' }))).stdout).toBe('one\ntwo');
    expect((await runner.run(request('/bin/true', { input: 'x'.repeat(1_000_000) }))).exitCode).toBe(0);
  });

  it('works in a process group of its own', async () => {
    const groupOf = async () => (await runner.run(request('/bin/sh', { argv: ['-c', 'cut -d" " -f5 /proc/$$/stat'] }))).stdout.trim();
    const ours = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[2];
    const groups = [ours, await groupOf(), await groupOf()];
    expect(new Set(groups)).toHaveLength(3);
  });

  asRoot('runs as another user with the home and the supplementary groups of that user', async () => {
    const user = { uid: POSTGRES.uid, gid: POSTGRES.gid };
    const environment = (await runner.run(request('/usr/bin/env', { user }))).stdout;
    expect(environment).toContain(`HOME=${POSTGRES.home}\n`);
    expect(environment).toContain('USER=postgres\n');
    const own = (await runner.run(request('/usr/bin/id', { user }))).stdout;
    const expected = (await runner.run(request('/usr/bin/id', { argv: ['postgres'] }))).stdout;
    expect(own).toBe(expected);
  });
});

describe('what it gives back', () => {
  it('tells exit code and output of both streams', async () => {
    const result = await runner.run(request('ends-with', { argv: ['7'] }));
    expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderrTail: 'err\n' });
  });

  it('hands on complete lines while it runs, also the last one without an end', async () => {
    const lines: string[] = [];
    await runner.run(
      request('/usr/bin/printf', { argv: ['a\\nb\\r\\n\\nlast ü'], onLine: (line, stream) => lines.push(`${stream}:${line}`) }),
    );
    expect(lines).toEqual(['stdout:a', 'stdout:b', 'stdout:', 'stdout:last ü']);
  });

  it('keeps the last 16 KiB of stderr, from the beginning of a line', async () => {
    const { stderrTail } = await runner.run(request('/bin/sh', { argv: ['-c', 'seq 100000 200000 >&2'] }));
    expect(stderrTail.endsWith('\n200000\n')).toBe(true);
    expect(stderrTail).toMatch(/^\d{6}\n/);
    expect(Buffer.byteLength(stderrTail)).toBeLessThanOrEqual(16_384);
  });

  it('fails and ends the process when it prints more than the limit', async () => {
    const error = await errorOf(runner.run(request('floods', { maxStdoutBytes: 100_000 })));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain('more than 100000 bytes');
  });

  it('names a program that does not exist', async () => {
    for (const file of ['/no/such/program', 'no-such-program-anywhere', '/etc/passwd', '/etc', 'nul\0byte']) {
      const error = await errorOf(runner.run({ ...request('/bin/true'), file }));
      expect(error.code).toBe('TOOL_MISSING');
    }
  });

  it('fails where the working directory does not exist', async () => {
    expect((await errorOf(runner.run(request('/bin/true', { cwd: '/no/such/directory' })))).code).toBe('TOOL_FAILED');
  });

  it('fails when somebody else ends the process by a signal', async () => {
    const error = await errorOf(runner.run(request('/bin/sh', { argv: ['-c', 'echo why >&2; kill -KILL $$'] })));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain('SIGKILL');
    expect(error.details['stderrTail']).toBe('why\n');
  });
});

describe('what is written and read while it runs', () => {
  const CHUNK_BYTES = 65_536;
  const MANY_CHUNKS = 512;

  /** Counts what was asked of it, and whether it was closed. */
  function source(chunks: number, failure?: Error) {
    const state = { asked: 0, isClosed: false };
    async function* generate(): AsyncGenerator<Uint8Array> {
      try {
        for (; state.asked < chunks; ) {
          state.asked += 1;
          yield Buffer.alloc(CHUNK_BYTES, state.asked % 256);
          await Promise.resolve();
        }
        if (failure) throw failure;
      } finally {
        state.isClosed = true;
      }
    }
    return { state, stream: generate() };
  }

  async function sizeOf(output: AsyncIterable<Uint8Array>): Promise<number> {
    let sizeBytes = 0;
    for await (const chunk of output) sizeBytes += chunk.length;
    return sizeBytes;
  }

  it('passes through both streams unchanged, and lines of stderr beside it', async () => {
    const { stream } = source(MANY_CHUNKS);
    const lines: string[] = [];
    const hash = createHash('sha256');
    const { exitCode, stdout } = await runner.run(
      request('/bin/sh', {
        argv: ['-c', 'cat; echo copied >&2'],
        inputStream: stream,
        async consumeStdout(output) {
          for await (const chunk of output) hash.update(chunk);
        },
        onLine: (line, of) => lines.push(`${of}:${line}`),
      }),
    );
    const expected = createHash('sha256');
    for (let index = 1; index <= MANY_CHUNKS; index += 1) expected.update(Buffer.alloc(CHUNK_BYTES, index % 256));
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
    expect({ exitCode, stdout, lines }).toEqual({ exitCode: 0, stdout: '', lines: ['stderr:copied'] });
  });

  it('is no more than what fits into the pipes when nobody reads', async () => {
    const { state, stream } = source(MANY_CHUNKS);
    const controller = new AbortController();
    const run = runner.run(
      request('/bin/cat', {
        inputStream: stream,
        signal: controller.signal,
        async consumeStdout(output) {
          const [first] = [await output[Symbol.asyncIterator]().next()];
          expect(first.done).toBe(false);
          let before = -1;
          while (before !== state.asked) {
            before = state.asked;
            await new Promise((resolve) => setTimeout(resolve, 200));
          }
          controller.abort();
        },
      }),
    );
    expect((await errorOf(run)).code).toBe('CANCELLED');
    expect(state.asked).toBeLessThan(MANY_CHUNKS / 4);
    expect(state.isClosed).toBe(true);
  });

  it('is closed without an error where the process wants no more of it', async () => {
    const { state, stream } = source(MANY_CHUNKS);
    const { exitCode, stdout } = await runner.run(request('/usr/bin/head', { argv: ['-c', '3'], inputStream: stream }));
    expect({ exitCode, stdout, ...state }).toEqual({ exitCode: 0, stdout: '\x01\x01\x01', asked: expect.any(Number), isClosed: true });
    expect(state.asked).toBeLessThan(MANY_CHUNKS);
  });

  it('does not look complete to the process nor to the reader where the source fails', async () => {
    const failure = new Error('the source is broken');
    const { stream } = source(3, failure);
    let seen: unknown;
    const run = runner.run(
      request('/bin/sh', {
        argv: ['-c', 'cat && echo "it ended"'],
        inputStream: stream,
        consumeStdout: async (output) => {
          seen = await sizeOf(output).catch((thrown: unknown) => thrown);
        },
      }),
    );
    await expect(run).rejects.toBe(failure);
    expect(seen).toBe(failure);
  });

  it('ends the process where the consumer fails, and throws what it threw', async () => {
    const failure = new Error('the bucket is gone');
    const { state, stream } = source(MANY_CHUNKS);
    let pid = 0;
    const run = runner.run(
      request('/bin/sh', {
        argv: ['-c', 'echo $$ >&2; cat'],
        inputStream: stream,
        onLine: (line) => (pid = Number(line)),
        async consumeStdout(output) {
          for await (const chunk of output) if (chunk.length > 0) throw failure;
        },
      }),
    );
    await expect(run).rejects.toBe(failure);
    expect([isAlive(pid), state.isClosed]).toEqual([false, true]);
  });

  it('throws what the consumer threw after it had everything', async () => {
    const failure = new Error('the last write failed');
    const consumeStdout = async (output: AsyncIterable<Uint8Array>) => {
      await sizeOf(output);
      throw failure;
    };
    await expect(runner.run(request('/bin/echo', { argv: ['x'], consumeStdout }))).rejects.toBe(failure);
  });

  it.each([
    ['an exit code', 'echo partly; echo why >&2; exit 3', 'ended with exit code 3'],
    ['a signal', 'echo partly; echo why >&2; kill -KILL $$', 'was ended by SIGKILL'],
  ])('is never taken for the whole where the process ends with %s', async (_, script, message) => {
    let bytes = 0;
    const errors: SpokeError[] = [];
    const run = runner.run(
      request('/bin/sh', {
        argv: ['-c', script],
        async consumeStdout(output) {
          try {
            for await (const chunk of output) bytes += chunk.length;
          } catch (thrown) {
            errors.push(thrown as SpokeError);
            throw thrown;
          }
        },
      }),
    );
    const result: unknown = await run.catch((thrown: unknown) => thrown);
    expect(bytes).toBe('partly\n'.length);
    expect(errors).toMatchObject([{ code: 'TOOL_FAILED', details: { stderrTail: 'why\n' } }]);
    expect(errors[0]?.message).toContain(message);
    expect(result).toMatchObject(message.includes('exit code') ? { exitCode: 3 } : { code: 'TOOL_FAILED' });
  });

  it('is cut off at the time limit, for the reader as well', async () => {
    const { stream } = source(1);
    let seen: unknown;
    const run = runner.run(
      request('/bin/sh', {
        argv: ['-c', 'cat; sleep 300'],
        inputStream: stream,
        timeoutMs: 400,
        consumeStdout: async (output) => {
          seen = await sizeOf(output).catch((thrown: unknown) => thrown);
        },
      }),
    );
    expect((await errorOf(run)).code).toBe('TIMED_OUT');
    expect(seen).toMatchObject({ code: 'TIMED_OUT' });
  });

  it('does not wait for a source that waits itself, once the process is ended', async () => {
    async function* waiting(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await new Promise<never>(() => {});
    }
    const run = runner.run(request('/bin/cat', { inputStream: waiting(), timeoutMs: 400 }));
    expect((await errorOf(run)).code).toBe('TIMED_OUT');
  });

  it('waits for a reader that is slower than the process', async () => {
    let bytes = 0;
    const { exitCode } = await runner.run(
      request('/usr/bin/head', {
        argv: ['-c', '400000', '/dev/zero'],
        async consumeStdout(output) {
          for await (const chunk of output) {
            await new Promise((resolve) => setTimeout(resolve, 150));
            bytes += chunk.length;
          }
        },
      }),
    );
    expect({ exitCode, bytes }).toEqual({ exitCode: 0, bytes: 400_000 });
  });
});

describe('the end of a process', () => {
  it('ends what the leader left behind in its group', async () => {
    const { stdout } = await runner.run(request('leaves-a-child-behind'));
    expect(isAlive(Number(stdout))).toBe(false);
  });

  it('leaves a daemon alone that has a session of its own, and does not wait for it', async () => {
    const { stdout } = await runner.run(request('starts-a-daemon', { timeoutMs: 10_000 }));
    strays.push(Number(stdout));
    expect(isAlive(Number(stdout))).toBe(true);
  });

  it('ends the whole group when cancelled, also one that ignores SIGTERM', async () => {
    const controller = new AbortController();
    let pids: number[] = [];
    const run = runner.run(
      request('holds-on', {
        signal: controller.signal,
        onLine(line) {
          pids = line.split(' ').map(Number);
          controller.abort();
        },
      }),
    );
    expect((await errorOf(run)).code).toBe('CANCELLED');
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it('throws the reason of the cancellation where that is an error of ours', async () => {
    const controller = new AbortController();
    const reason = new SpokeError('TERMINATED', 'SIGTERM');
    const run = runner.run(request('holds-on', { signal: controller.signal, onLine: () => controller.abort(reason) }));
    expect(await errorOf(run)).toBe(reason);
  });

  it('starts nothing when it was cancelled before', async () => {
    const lines: string[] = [];
    const run = runner.run(request('prints-itself', { argv: ['x'], signal: AbortSignal.abort(), onLine: (line) => lines.push(line) }));
    expect((await errorOf(run)).code).toBe('CANCELLED');
    expect(lines).toEqual([]);
  });

  it('ends the whole group at the time limit', async () => {
    let pids: number[] = [];
    const run = runner.run(request('holds-on', { timeoutMs: 400, onLine: (line) => (pids = line.split(' ').map(Number)) }));
    const error = await errorOf(run);
    expect(error.code).toBe('TIMED_OUT');
    expect(error.message).toContain('0.4 s');
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it('ends a stopped process too', async () => {
    const run = runner.run(request('/bin/sh', { argv: ['-c', 'kill -STOP $$; echo woken'], stallMs: 300 }));
    expect((await errorOf(run)).code).toBe('TIMED_OUT');
  });
});

describe('a stall', () => {
  it('is silence without reading or writing', async () => {
    const error = await errorOf(runner.run(request('holds-on', { stallMs: 300 })));
    expect(error.code).toBe('TIMED_OUT');
    expect(error.message).toContain('nothing for 0.3 s');
  });

  it('is not a process that silently copies', async () => {
    const { stdout } = await runner.run(request('copies-silently', { stallMs: 800 }));
    expect(stdout).toBe('done\n');
  });
});

describe('what a child is started through', () => {
  const parentOf = async (more: Partial<ProcessRequest>) => {
    const { stdout } = await runner.run(request('/bin/sh', { argv: ['-c', 'echo $PPID'], ...more }));
    return Number(stdout);
  };

  it('stands over what writes, to end its group, and not over what only reads', async () => {
    expect(await parentOf({ readsOnly: true })).toBe(process.pid);
    expect(await parentOf({})).not.toBe(process.pid);
  });
});

describe('when this program ends', () => {
  async function hostWithChild(mode: string): Promise<{ host: ReturnType<typeof spawn>; pids: number[]; exited: Promise<unknown[]> }> {
    const host = spawn(process.execPath, [HOST, mode, join(EXECUTABLES, 'holds-on')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(host, 'exit');
    const [chunk] = (await once(host.stdout, 'data')) as [Buffer];
    return { host, pids: chunk.toString().trim().split(' ').map(Number), exited };
  }

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('its processes end with it on %s, and it dies of that signal', async (signal) => {
    const { host, pids, exited } = await hostWithChild('no-handler');
    host.kill(signal);
    expect(await exited).toEqual([null, signal]);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it('its processes end with it when it exits by itself', async () => {
    const { host, pids, exited } = await hostWithChild('exit-on-term');
    host.kill('SIGTERM');
    expect(await exited).toEqual([9, null]);
    await Promise.all(pids.map(untilGone));
  });

  it.each(['no-handler', 'reads-only'])('the leader is ended by the kernel where it is killed by SIGKILL (%s)', async (mode) => {
    const host = spawn(process.execPath, [HOST, mode, '/bin/sh', '-c', 'echo $$; exec sleep 300'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(host, 'exit');
    const [chunk] = (await once(host.stdout, 'data')) as [Buffer];
    host.kill('SIGKILL');
    await exited;
    await untilGone(Number(chunk.toString()));
  });

  it('so is everything in its group, at last by SIGKILL', async () => {
    const { host, pids, exited } = await hostWithChild('no-handler');
    host.kill('SIGKILL');
    await exited;
    await Promise.all(pids.map(untilGone));
  });
});
