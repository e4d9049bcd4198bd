import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stop } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../../../scripts/build.ts';

const repository = join(import.meta.dirname, '../../..');

/** A command line that does what its first word says. */
const commandLine = `
const commands = {
  forget: () => new Promise(() => {}),
  end: async () => 13,
  fail: async () => process.exit(22),
};
export const cancellation = () => ({ signal: new AbortController().signal, cancel() {} });
export const runCli = ([first]) => commands[first]();
`;

describe('the program', () => {
  const directory = mkdtempSync(join(tmpdir(), 'main-'));
  const run = (...args: string[]) => spawnSync(process.execPath, [join(directory, 'dist/main.cjs'), ...args], { encoding: 'utf8' });

  beforeAll(async () => {
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    cpSync(join(repository, 'package.json'), join(directory, 'package.json'));
    mkdirSync(join(directory, 'src/cli'), { recursive: true });
    cpSync(join(repository, 'src/main.ts'), join(directory, 'src/main.ts'));
    for (const name of ['run-cli', 'run-backups']) writeFileSync(join(directory, `src/cli/${name}.ts`), commandLine);
    await buildProgram(join(directory, 'src/main.ts'), join(directory, 'dist'));
  });
  afterAll(async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('ends as the command line says', () => {
    expect(run('end')).toMatchObject({ status: 13, stdout: '', stderr: '' });
    expect(run('fail')).toMatchObject({ status: 22, stdout: '', stderr: '' });
  });

  it('fails, and says so, where nothing is left to wait for before the command line has ended', () => {
    expect(run('forget')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'error: the program ended in the middle of its work, which is a bug\n',
    });
  });
});
