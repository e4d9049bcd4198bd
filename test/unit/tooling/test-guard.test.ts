import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../../..');

const config = `
export default {
  test: {
    pool: 'forks',
    globalSetup: ['${join(repository, 'scripts/vitest/global-setup.ts')}'],
    setupFiles: ['${join(repository, 'scripts/vitest/guard-setup.ts')}'],
    reporters: ['${join(repository, 'scripts/vitest/reporter.ts')}'],
  },
};
`;

const careless = `
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';

it('passes', () => {});
it('fails', () => expect(1).toBe(2));
it('cannot be run here', (context) => context.skip('the moon is needed'));
it('leaves a daemon behind that has nothing but PATH of its surroundings', () => {
  const daemon = spawn('sleep', ['4321'], { detached: true, cwd: '/', env: { PATH: process.env.PATH }, stdio: 'ignore' });
  daemon.unref();
  console.log('daemon ' + daemon.pid);
});
it('leaves a directory behind', () => { mkdtempSync(tmpdir() + '/forgotten-'); console.log('directory ' + tmpdir()); });
it('warns', () => process.emitWarning('mind the gap'));
let tries = 0;
it('is flaky', { retry: 1 }, () => { tries++; if (tries === 1) throw new Error('the first try was too early'); });
`;

const tidy = `
import { it } from 'vitest';
it('leaves nothing', () => {});
`;

describe('the guard around each test file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'guard-'));
  let output = '';
  let status: number | null = null;

  beforeAll(() => {
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(directory, 'vitest.config.js'), config);
    writeFileSync(join(directory, 'careless.test.js'), careless);
    writeFileSync(join(directory, 'tidy.test.js'), tidy);
    const result = spawnSync(process.execPath, [join(repository, 'node_modules/vitest/vitest.mjs'), 'run'], {
      cwd: directory,
      env: { PATH: process.env['PATH'], HOME: directory, NO_COLOR: '1' },
      encoding: 'utf8',
    });
    output = result.stdout + result.stderr;
    status = result.status;
  }, 60_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('fails a file that leaves a process, a directory or a warning behind', () => {
    expect(status).toBe(1);
    expect(output).toMatch(/process \d+ was left running: sleep 4321/);
    expect(output).toMatch(/left in the temporary directory: forgotten-/);
    expect(output).toContain('unexpected warning: Warning: mind the gap');
    expect(output).toContain('✔ tidy.test.js (1)');
  });

  it('ends the process and removes the directory all the same', () => {
    const daemon = Number(/^daemon (\d+)$/m.exec(output)?.[1]);
    expect(() => process.kill(daemon, 0)).toThrow('ESRCH');
    const left = /^directory (.+)$/m.exec(output)?.[1] ?? '';
    expect(left).toMatch(/^\/tmp\/spk-/);
    expect(existsSync(left)).toBe(false);
  });

  it('counts every test, and the file that left something as one failure more', () => {
    expect(output).toMatch(/^6 passed, 2 failed, 1 skipped$/m);
    expect(output).toContain('skipped: the moon is needed (careless.test.js > cannot be run here)');
  });

  it('tells what passed at the second try only, and what was the matter at the first', () => {
    expect(output).toMatch(/^only at the second try: careless\.test\.js > is flaky$[^]*the first try was too early/m);
  });
});
