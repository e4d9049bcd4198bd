import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { setup } from '../../../scripts/vitest/global-setup.ts';
import { lifeOf, mountsBelow, TEST_ROOT_VARIABLE } from '../../../scripts/vitest/test-root.ts';

describe('the directory of a run of tests', () => {
  const ours = process.env[TEST_ROOT_VARIABLE];
  const roots: string[] = [];
  const children: ChildProcess[] = [];
  afterEach(async () => {
    process.env[TEST_ROOT_VARIABLE] = ours;
    for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await end(child);
    for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
  });

  it('is cleared away by the next run where its own was killed, with the processes that work in it', async () => {
    const run = sleeper('/');
    const root = rootOf(lifeOf(run.pid ?? 0));
    await end(run);
    mkdirSync(join(root, 'data'));
    const server = sleeper(join(root, 'data'));
    const gone = once(server, 'exit');
    setup()();
    await gone;
    expect(existsSync(root)).toBe(false);
  });

  it('is cleared away with what is still mounted below it', (context) => {
    if (process.getuid?.() !== 0 || process.platform !== 'linux') context.skip('needs root on Linux to mount a tmpfs');
    const root = rootOf(lifeOf(process.pid).replace(/^(\d+) \d+/, '$1 0'));
    const point = join(root, 'a full disk');
    mkdirSync(point);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', point]);
    expect(mountsBelow(root)).toEqual([point]);
    setup()();
    expect(existsSync(root)).toBe(false);
  });

  it('stays while its run lives, and where its run cannot be seen from here', () => {
    const living = rootOf(lifeOf(sleeper('/').pid ?? 0));
    const elsewhere = rootOf('1 1 pid:[1]');
    const nobodys = rootOf('');
    setup()();
    expect([living, elsewhere, nobodys].filter((root) => !existsSync(root))).toEqual([]);
  });

  it('goes with its run', () => {
    const teardown = setup();
    const root = process.env[TEST_ROOT_VARIABLE] ?? '';
    expect(existsSync(root)).toBe(true);
    teardown();
    expect(existsSync(root)).toBe(false);
  });

  function rootOf(owner: string): string {
    const root = mkdtempSync('/tmp/spk-');
    roots.push(root);
    writeFileSync(join(root, '.owner'), owner);
    return root;
  }

  function sleeper(cwd: string): ChildProcess {
    const child = spawn('sleep', ['600'], { cwd, stdio: 'ignore' });
    children.push(child);
    return child;
  }
});

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
