import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { archiveCommand, replayRestoreCommand, restoreCommand, standbyRestoreCommand } from '../../../src/adapters/pgbackrest/arguments.ts';
import { confValue, shellWord } from '../../../src/adapters/pgbackrest/quoting.ts';
import { SETTINGS } from './settings.ts';

const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''));

/** By PostgreSQL's rules (GUC_scanstr, guc-file.l): two quotes are one, a backslash takes the next character or its meaning. */
function readConfValue(quoted: string): string {
  const meanings: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
  return quoted.replaceAll(/''|\\([^])/gu, (_match, character: string | undefined) =>
    character === undefined ? "'" : (meanings[character] ?? character),
  );
}

/** PostgreSQL replaces %% by % before it hands a command to the shell. */
function wordsOfShell(command: string): string[] {
  return execFileSync('/bin/sh', ['-c', `for w in ${command.replaceAll('%%', '%')}; do printf '%s\\0' "$w"; done`])
    .toString()
    .split('\0')
    .slice(0, -1);
}

it('a shell reads a word as it was', () => {
  const words = ['plain', '', "it's", '$(id)`id`$HOME', 'a b', '100%', '"', '\\', 'ü', '-n', '#', '*', ';', 'two\nlines'];
  expect(wordsOfShell(words.map(shellWord).join(' '))).toEqual(words);
});

it('PostgreSQL reads a value as it was, and it ends where it should', () => {
  fc.assert(
    fc.property(text, (value) => {
      const quoted = confValue(value);
      expect(readConfValue(quoted)).toBe(value);
      expect(quoted).not.toMatch(/[\n\r]/);
      expect(quoted.replaceAll("''", '')).not.toContain("'");
    }),
  );
});

/** The commands with what PostgreSQL puts in for their placeholders, run by a shell with a pgbackrest that exits with `code`. */
function exitCodeOf(command: string, code: number): number {
  const script = command.replace('/usr/bin/pgbackrest', `sh -c 'exit ${code}'`).replaceAll('%f', 'F').replaceAll('%p', 'P');
  try {
    execFileSync('/bin/sh', ['-c', script], { cwd: '/usr' });
    return 0;
  } catch (thrown) {
    return (thrown as { status: number }).status;
  }
}

it.each([
  [0, 0],
  [1, 1],
])('a segment that is there or not (%i) is told to PostgreSQL as that', (code, expected) => {
  expect(exitCodeOf(restoreCommand(SETTINGS, 1), code)).toBe(expected);
});

it.each([29, 42, 49, 103, 125])('trouble (%i) ends recovery instead of counting as the end of the archive', (code) => {
  // wait_result_is_any_signal(rc, true) in RestoreArchivedFile: above 125 it is FATAL.
  expect(exitCodeOf(restoreCommand(SETTINGS, 1), code)).toBeGreaterThan(125);
});

it.each([0, 1, 29, 103, 126, 127, 143])('trouble (%i) never ends a standby, which streams meanwhile and asks again', (code) => {
  // Also where the program is missing or was killed, which PostgreSQL would take for a reason to end.
  expect(exitCodeOf(standbyRestoreCommand(SETTINGS, 1), code)).toBe(code === 0 ? 0 : 1);
});

/** A pgbackrest that ends with one code where it reads ahead and with another where it does not, and says which it was. */
function replaying(ahead: number, plainly: number): { readonly exitCode: number; readonly asked: readonly string[] } {
  const directory = mkdtempSync(join(tmpdir(), 'replay'));
  const program = join(directory, 'pgbackrest');
  const script = `#!/bin/sh\ncase "$*" in *--no-archive-async*) echo plainly >>${directory}/asked; exit ${plainly};; *) echo ahead >>${directory}/asked; exit ${ahead};; esac\n`;
  writeFileSync(program, script, { mode: 0o755 });
  try {
    const exitCode = exitCodeOf(replayRestoreCommand({ ...SETTINGS, command: program }, { repository: 1, workDirectory: '/beside' }), 0);
    return { exitCode, asked: readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it('a segment that was fetched ahead is asked for once', () => {
  expect(replaying(0, 103)).toEqual({ exitCode: 0, asked: ['ahead'] });
});

it.each([
  ['that cannot read ahead', 103, 0, 0],
  ['that read ahead too far or too early', 1, 0, 0],
  ['at the end of the archive', 1, 1, 1],
  ['with trouble', 103, 103, 200],
])('a replay %s is told what asking plainly comes back with', (_what, ahead, plainly, exitCode) => {
  expect(replaying(ahead, plainly)).toEqual({ exitCode, asked: ['ahead', 'plainly'] });
});

it.each([0, 45, 82, 103])('archiving passes on what pgBackRest says (%i)', (code) => {
  expect(exitCodeOf(archiveCommand(SETTINGS), code)).toBe(code);
});

it('both commands work in whatever data directory PostgreSQL runs them', () => {
  const printed = (command: string) =>
    execFileSync('/bin/sh', ['-c', command.replace('/usr/bin/pgbackrest', 'printf %s\\\\n')], { cwd: '/usr' })
      .toString()
      .split('\n');
  expect(printed(restoreCommand(SETTINGS, 2))).toEqual(expect.arrayContaining(['--pg1-path=/usr', '--repo=2', 'archive-get', '%f', '%p']));
  expect(printed(archiveCommand(SETTINGS))).toEqual(expect.arrayContaining(['--pg1-path=/usr', 'archive-push', '%p']));
});
