import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { resolveNodeUrl, resolveSecret, resolveSecretText } from '../../../src/config/resolve-secret.ts';
import type { SecretContext } from '../../../src/config/resolve-secret.ts';
import { parseSecretReference, parseSecretText, SecretReference } from '../../../src/config/secrets.ts';
import type { SecretText } from '../../../src/config/secrets.ts';
import { SpokeError } from '../../../src/errors.ts';
import { everyPrint, fakeRunner, parseCluster, rejectionOf, temporaryDirectory, temporaryFile } from './helpers.ts';

function context(overrides: Partial<SecretContext> = {}): SecretContext {
  const processes = fakeRunner(() => ({ exitCode: 127 }));
  return { environment: {}, processes, signal: new AbortController().signal, ...overrides };
}

function reference(text: string): SecretReference {
  const parsed = parseSecretReference(text);
  if (parsed === undefined) throw new Error(`no reference: ${text}`);
  return parsed;
}

function template(text: string): SecretText {
  const parsed = parseSecretText(text);
  if (parsed === undefined) throw new Error(`no template: ${text}`);
  return parsed;
}

describe('a reference', () => {
  it('is ${env:NAME} or ${file:/path}, and nothing else', () => {
    expect(reference('${env:A_1}').source()).toEqual({ kind: 'env', variable: 'A_1' });
    expect(reference('${file:/etc/a b}').source()).toEqual({ kind: 'file', path: '/etc/a b' });
    for (const text of [
      '',
      'x',
      '$A',
      '${A}',
      '${env:}',
      '${env:1A}',
      '${env:A-B}',
      '${file:relative}',
      '${file:/a\n}',
      ' ${env:A}',
      '${env:A}x',
      '${vault:x}',
    ]) {
      expect(parseSecretReference(text), text).toBeUndefined();
    }
  });

  it('prints as it was written; of a command only the program', () => {
    for (const text of ['${env:A}', '${file:/etc/a}']) {
      expect(reference(text).describe()).toBe(text);
      expect(everyPrint(reference(text))).not.toContain('variable');
    }
    const command = new SecretReference({ kind: 'command', argv: ['vault', '--token', 'hunter2'] });
    expect(command.describe()).toBe('passwordCommand: vault …');
    expect(everyPrint([command, { command }])).not.toContain('hunter2');
  });
});

describe('resolving', () => {
  it('reads a variable as it is', async () => {
    const environment = { A: ' x y ' };
    expect(await resolveSecret(reference('${env:A}'), context({ environment }))).toBe(' x y ');
  });

  it('reads a file without the line end that editors leave', async () => {
    for (const [content, secret] of [
      ['abc\n', 'abc'],
      ['abc\r\n', 'abc'],
      ['abc', 'abc'],
      ['a b ', 'a b '],
    ] as const) {
      const path = await temporaryFile('secret', content);
      expect(await resolveSecret(reference(`\${file:${path}}`), context())).toBe(secret);
    }
  });

  it.each([0o640, 0o604, 0o644, 0o660, 0o602, 0o610])('refuses a file that others may open: mode %o', async (mode) => {
    const path = await temporaryFile('secret', 'hunter2', mode);
    const error = await rejectionOf(resolveSecret(reference(`\${file:${path}}`), context()));
    expect(error).toMatchObject({ code: 'SECRET_UNAVAILABLE', hint: `chmod 600 ${path}` });
    expect(error.message).toContain(`is open to others than its owner (mode 0${mode.toString(8)})`);
    expect(everyPrint(error)).not.toContain('hunter2');
  });

  it.each([0o600, 0o400])('accepts a file of its owner alone: mode %o', async (mode) => {
    const path = await temporaryFile('secret', 'hunter2', mode);
    expect(await resolveSecret(reference(`\${file:${path}}`), context())).toBe('hunter2');
  });

  it('refuses what is no file, too large, empty, or has a line break or NUL in it', async () => {
    const directory = await temporaryDirectory();
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    const cases = [
      [join(directory, 'absent'), 'cannot be opened (ENOENT)'],
      [directory, 'is not a file'],
      [pipe, 'is not a file'],
      [await temporaryFile('secret', 'x'.repeat(65_537)), 'is larger than 65536 bytes'],
      [await temporaryFile('secret', '\n'), 'it is empty'],
      [await temporaryFile('secret', 'hunter2\nrepo1-path=/x\n'), 'more than one line'],
      [await temporaryFile('secret', 'hunter2\0'), 'more than one line, or a NUL'],
    ] as const;
    for (const [path, words] of cases) {
      const error = await rejectionOf(resolveSecret(reference(`\${file:${path}}`), context()));
      expect(error.code).toBe('SECRET_UNAVAILABLE');
      expect(error.message).toContain(words);
      expect(everyPrint(error)).not.toContain('hunter2');
    }
  });

  it('of a variable that is not set, or empty, says which', async () => {
    const unset = await rejectionOf(resolveSecret(reference('${env:NOT_THERE}'), context()));
    expect(unset.message).toBe('the secret ${env:NOT_THERE} cannot be read: the environment variable NOT_THERE is not set');
    const empty = await rejectionOf(resolveSecret(reference('${env:E}'), context({ environment: { E: '' } })));
    expect(empty.message).toContain('it is empty');
  });

  it('runs a command by its argument vector, with our environment, and takes what it prints', async () => {
    const processes = fakeRunner(({ file, argv, environment }) => ({ stdout: `${[file, ...argv].join('|')}|${environment?.['A']}\n` }));
    const command = new SecretReference({ kind: 'command', argv: ['pass', 'show', '$(id); x'] });
    expect(await resolveSecret(command, context({ processes, environment: { A: '1' } }))).toBe('pass|show|$(id); x|1');
  });

  it('of a command that fails tells its exit code, and repeats nothing that it printed', async () => {
    const processes = fakeRunner(() => ({ exitCode: 2, stdout: 'hunter2', stderrTail: 'denied for hunter2' }));
    const command = new SecretReference({ kind: 'command', argv: ['pass', 'hunter2'] });
    const error = await rejectionOf(resolveSecret(command, context({ processes })));
    expect(error.message).toBe('the secret passwordCommand: pass … cannot be read: pass ended with exit code 2');
    expect(everyPrint(error)).not.toContain('hunter2');
  });

  it('of a command that cannot be run tells why', async () => {
    const processes = {
      run: () => Promise.reject(new SpokeError('TOOL_MISSING', 'no such file: hunter2')),
    };
    const command = new SecretReference({ kind: 'command', argv: ['pass'] });
    const error = await rejectionOf(resolveSecret(command, context({ processes })));
    expect(error).toMatchObject({ code: 'SECRET_UNAVAILABLE', message: expect.stringContaining('pass failed (TOOL_MISSING)') });
    expect(everyPrint(error)).not.toContain('hunter2');
  });

  it('is cancelled by the signal', async () => {
    const controller = new AbortController();
    const cancelled = new SpokeError('CANCELLED', 'cancelled');
    controller.abort(cancelled);
    const processes = { run: () => Promise.reject(cancelled) };
    const command = new SecretReference({ kind: 'command', argv: ['pass'] });
    const error = await rejectionOf(resolveSecret(command, context({ processes, signal: controller.signal })));
    expect(error.code).toBe('CANCELLED');
  });
});

describe('the URL of a node', () => {
  const anySecret = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/[\0\r\n]/.test(text));
  const bodies = {
    'in its URL': 'url: postgresql://backup:${env:PW}@127.0.0.1:5432/postgres',
    'as a parameter': 'url: postgresql://backup@127.0.0.1:5432/postgres?application_name=x&password=${env:PW}',
    'apart from a URL with a user': 'url: postgresql://backup@127.0.0.1:5432/postgres?application_name=x\npasswordCommand: [pw]',
    'apart from a URL without one': 'url: postgresql://127.0.0.1:5432/postgres?user=backup\npasswordCommand: [pw]',
  };

  it.each(Object.entries(bodies))('hands on any password %s as it is', async (_name, body) => {
    const [node] = parseCluster(`nodes:\n  - name: a\n${body.replaceAll(/^/gm, '    ')}`).nodes;
    if (node === undefined) throw new Error('no node');
    await fc.assert(
      fc.asyncProperty(anySecret, async (secret) => {
        const processes = fakeRunner(() => ({ stdout: secret }));
        const url = await resolveNodeUrl(node, context({ processes, environment: { PW: secret } }));
        const client = new pg.Client({ connectionString: url ?? '' });
        expect([client.password, client.user, client.host, client.port, client.database]).toEqual([
          secret,
          'backup',
          '127.0.0.1',
          5432,
          'postgres',
        ]);
      }),
    );
  });

  it('may be one reference, which is taken as it is', async () => {
    const [node] = parseCluster('nodes: [{name: a, url: "${env:URL}", passwordCommand: [pw]}]').nodes;
    if (node === undefined) throw new Error('no node');
    const processes = fakeRunner(() => ({ stdout: 'apart' }));
    const resolve = (URL: string) => resolveNodeUrl(node, context({ processes, environment: { URL } }));
    expect(await resolve('postgresql://u:own@h/db')).toBe('postgresql://u:own@h/db');
    expect(await resolve('postgresql://u@h/db')).toBe('postgresql://u:apart@h/db');
    const error = await rejectionOf(resolve('mysql://u:hunter2@h/db'));
    expect(error.code).toBe('SECRET_UNAVAILABLE');
    expect(everyPrint(error)).not.toContain('hunter2');
  });

  it('may take its host from a reference, which is not encoded', async () => {
    const text = template('postgresql://${env:U}:${env:P}@${env:H}/db?options=${env:O}');
    const environment = { U: 'a@b', P: 'p:w/', H: '[::1]:5433', O: '-c x=1&y' };
    expect(await resolveSecretText(text, context({ environment }))).toBe(
      'postgresql://a%40b:p%3Aw%2F@[::1]:5433/db?options=-c%20x%3D1%26y',
    );
  });
});
