import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeGate, type StderrGate } from '../../../src/adapters/native/backup/stderr-gate.ts';

let directory: string;
let gate: StderrGate;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gate'));
  path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  gate = closeGate(path);
});
afterEach(() => {
  gate.close();
  rmSync(directory, { recursive: true });
});

/** Says its words on stderr, the gate, then touches a file. */
function start(script: string) {
  const fd = openSync(path, 'w');
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', fd] });
  closeSync(fd);
  return { child, stdout: child.stdout as Readable, exit: once(child, 'exit') };
}

async function readUntilExit(exit: Promise<unknown>): Promise<string> {
  let [text, ended] = ['', false];
  void exit.then(() => (ended = true));
  while (!ended) {
    text += gate.read();
    await sleep(5);
  }
  return text + gate.read();
}

describe('a gate of stderr', () => {
  it('stops a program at its first word, and lets it go on when it is read', async () => {
    const { child, stdout, exit } = start('echo before; echo first >&2; echo second >&2; echo after');
    let out = '';
    stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await once(stdout, 'data');
    await sleep(100);
    expect(child.exitCode).toBeNull();
    expect(out).toBe('before\n');
    expect(await readUntilExit(exit)).toBe('first\nsecond\n');
    await exit;
  });

  it('lets out one word at a time as it is probed, and is closed again', async () => {
    const { child, exit } = start('echo one >&2; echo two >&2; echo three >&2; exec cat >/dev/null </dev/zero');
    let text = '';
    while (!text.includes('three')) {
      const probe = gate.probe();
      text += probe.text;
      // Whoever slips through is told of.
      if (probe.passed) break;
      await sleep(5);
    }
    text += gate.read();
    child.kill('SIGKILL');
    await exit;
    // Of one that slips through, an empty line may be before its words.
    expect(text).toMatch(/^\n?one\n/);
    expect(text).not.toContain('\n\n');
  });

  it('lets out no more than what was said, also where a program slips through', async ({ skip }) => {
    const { child, exit } = start('while echo word >&2; do :; done');
    const deadline = performance.now() + 10_000;
    let probe = gate.probe();
    for (let count = 0; !probe.passed && performance.now() < deadline; count++) {
      probe = gate.probe();
      if (count % 10 === 0) await sleep(0);
    }
    child.kill('SIGKILL');
    if (!probe.passed) skip('nobody slipped through: that takes two processors at one moment');
    // It goes on talking while it is read: how much came is its own affair, what came is not.
    expect(probe.text.replaceAll('word\n', '').length).toBeLessThan(10);
    await exit;
  });

  it('loses no word of much that is said', async () => {
    const { exit } = start('seq 1 20000 >&2');
    const lines = (await readUntilExit(exit)).trimEnd().split('\n');
    expect(lines).toEqual(Array.from({ length: 20_000 }, (_, index) => String(index + 1)));
  });
});
