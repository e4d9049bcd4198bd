import { spawn } from 'node:child_process';
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
