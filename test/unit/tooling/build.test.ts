import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stop } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../../../scripts/build.ts';

const repository = join(import.meta.dirname, '../../..');

/** Imports every package lazily, in the way that the program does, and does something with it. */
const commandLine = `
void (async () => {
  const { Command } = await import('commander');
  const { z } = await import('zod');
  const { parse } = await import('yaml');
  const { Temporal } = await import('temporal-polyfill');
  const { pino } = await import('pino');
  const { execa } = await import('execa');
  const { default: pg } = await import('pg');
  const { S3Client } = await import('@aws-sdk/client-s3');
  const lines = [];
  pino({ base: null, timestamp: false }, { write: (line) => lines.push(line.trim()) }).info('logged');
  lines.push(new Command('spoke').name(), z.string().parse('checked'), parse('read: yaml').read);
  lines.push(String(Temporal.Instant.from('2026-11-22T14:05:00+01:00')));
  lines.push((await execa('/bin/echo', ['spoken'])).stdout);
  await new pg.Client({ host: '/nowhere', port: 1 }).connect().catch((error) => lines.push(error.code));
  lines.push(typeof new S3Client({ region: 'here' }).send);
  process.stdout.write(lines.join('\\n'));
})();
`;

/** What is started for a listing of backups: of the two commands that it can load, its bundle has one. */
const listing = `
void (async () => {
  process.stdout.write((await import('./commands/backups.ts')).what);
  await import('./commands/restore.ts').catch((error) => process.stdout.write(', ' + error.message));
})();
`;

/** The entry: it says something without the command line, or reads it. */
const program = `
if (process.argv[2] === 'nothing') process.stdout.write('nothing');
else if (process.argv[2] === 'backups') void import('./cli/run-backups.ts');
else void import('./cli/run-cli.ts');
`;

describe('the build', () => {
  const directory = mkdtempSync(join(tmpdir(), 'build-'));
  const dist = join(directory, 'dist');

  beforeAll(async () => {
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(directory, 'main.ts'), program);
    mkdirSync(join(directory, 'cli/commands'), { recursive: true });
    writeFileSync(join(directory, 'cli/run-cli.ts'), commandLine);
    writeFileSync(join(directory, 'cli/run-backups.ts'), listing);
    for (const what of ['backups', 'restore']) writeFileSync(join(directory, `cli/commands/${what}.ts`), `export const what = '${what}';`);
    mkdirSync(join(dist, 'of-an-older-build'), { recursive: true });
    await buildProgram(join(directory, 'main.ts'), dist);
    rmSync(join(directory, 'node_modules'));
  });
  afterAll(async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('needs no packages where it runs, and they work in it', () => {
    expect(execFileSync(process.execPath, [join(dist, 'main.cjs')], { encoding: 'utf8' }).split('\n')).toEqual([
      '{"level":30,"msg":"logged"}',
      'spoke',
      'checked',
      'yaml',
      '2026-11-22T13:05:00Z',
      'spoken',
      'ENOENT',
      'function',
    ]);
  });

  it('leaves what is imported lazily out of the first file', () => {
    expect(readFileSync(join(dist, 'main.cjs')).length).toBeLessThan(4_096);
    expect(execFileSync(process.execPath, [join(dist, 'main.cjs'), 'nothing'], { encoding: 'utf8' })).toBe('nothing');
  });

  it('leaves all other commands out of what a listing of backups reads', () => {
    const said = execFileSync(process.execPath, [join(dist, 'main.cjs'), 'backups'], { encoding: 'utf8' });
    expect(said).toBe('backups, ./commands/restore.ts is not in this bundle');
  });

  it('leaves nothing of an older build, and no directory beside the new one', () => {
    expect(readdirSync(dist)).not.toContain('of-an-older-build');
    expect(readdirSync(directory).sort()).toEqual(['cli', 'dist', 'main.ts', 'package.json']);
  });
});
