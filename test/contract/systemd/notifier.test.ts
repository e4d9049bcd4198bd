import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, type TestContext } from 'vitest';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import { createServiceNotifier } from '../../../src/adapters/systemd/notifier.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { ProcessRunner } from '../../../src/ports/process-runner.ts';

const RECEIVER = fileURLToPath(new URL('./receiver.py', import.meta.url));

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function needs(context: TestContext, ...programs: string[]): void {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length > 0) context.skip(`needs ${missing.join(' and ')}`);
}

/** A service manager's end of the socket: what it was told, datagram by datagram. */
async function startReceiver() {
  const directory = mkdtempSync(join(tmpdir(), 'n-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, 's');
  const child: ChildProcess = spawn('python3', [RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  cleanUps.push(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async () => JSON.parse(String((await lines.next()).value)) as string;
  expect(await next()).toBe('ready');
  return { socket, next };
}

function notifierOf(environment: Record<string, string>, runner: ProcessRunner = createProcessRunner()) {
  const faults: string[] = [];
  const notifier = createServiceNotifier({ runner, environment, pid: 4711, onFault: (message) => faults.push(message) });
  return { notifier, faults };
}

const NOBODY: ProcessRunner = { run: () => Promise.reject(new Error('a process was started')) };

describe('the service manager', () => {
  it('is told that we are ready, reload, live and stop, in that order', async (context) => {
    needs(context, 'systemd-notify', 'python3');
    const { socket, next } = await startReceiver();
    const { notifier, faults } = notifierOf({ NOTIFY_SOCKET: socket });
    const told = [
      notifier.ready('2 clusters'),
      notifier.reloading(),
      notifier.ready('3 clusters'),
      notifier.status('backup of main: 34 %\nREADY=0'),
      notifier.alive(),
      notifier.stopping('one run is ending'),
    ];
    expect(await next()).toBe('READY=1\nSTATUS=2 clusters');
    expect(await next()).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    expect(await next()).toBe('READY=1\nSTATUS=3 clusters');
    expect(await next()).toBe('STATUS=backup of main: 34 % READY=0');
    expect(await next()).toBe('WATCHDOG=1');
    expect(await next()).toBe('STOPPING=1\nSTATUS=one run is ending');
    await Promise.all(told);
    expect(faults).toEqual([]);
  });

  it('is not told anything where there is none', async () => {
    const { notifier, faults } = notifierOf({}, NOBODY);
    await notifier.ready('ready');
    await notifier.alive();
    expect(faults).toEqual([]);
  });

  it('that does not listen stops nothing, and is complained of once', async (context) => {
    needs(context, 'systemd-notify');
    const { notifier, faults } = notifierOf({ NOTIFY_SOCKET: join(tmpdir(), 'nobody') });
    await notifier.ready('ready');
    await notifier.alive();
    expect(faults).toEqual([expect.stringMatching(/^the service manager was not told READY=1: systemd-notify ended with exit code/)]);
  });

  it('without systemd-notify stops nothing', async () => {
    const { notifier, faults } = notifierOf(
      { NOTIFY_SOCKET: '/run/x' },
      { run: () => Promise.reject(new SpokeError('TOOL_MISSING', 'there is no program systemd-notify')) },
    );
    await notifier.stopping('bye');
    expect(faults).toEqual(['the service manager was not told STOPPING=1: there is no program systemd-notify']);
  });

  // sd_watchdog_enabled(3): WATCHDOG_USEC in microseconds, and only for the process that WATCHDOG_PID names, if it names one.
  it.each<[Record<string, string>, number | undefined]>([
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '4711' }, 30_000],
    [{ WATCHDOG_USEC: '60000000' }, 30_000],
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{}, undefined],
  ])('with %j is to hear from us every %s ms', (environment, expected) => {
    expect(notifierOf(environment, NOBODY).notifier.watchdogIntervalMs).toBe(expected);
  });
});
