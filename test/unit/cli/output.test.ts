import { beforeEach, describe, expect, it } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import { captureOutput, startCapturing } from './captured.ts';

const printed = captureOutput();
beforeEach(() => startCapturing(printed));

const make = (options: Partial<ConstructorParameters<typeof Output>[0]> = {}) =>
  new Output({ json: false, quiet: false, verbose: false, ...options });

describe('what a command prints', () => {
  it('is text for people on stdout, with a newline at its end', () => {
    make().result({ rows: 1 }, () => 'one row');
    expect(printed).toEqual({ stdout: 'one row\n', stderr: '' });
  });

  it('is with --json one document on stdout that names its schema', () => {
    make({ json: true }).result({ rows: 1 }, () => 'one row');
    expect(JSON.parse(printed.stdout)).toEqual({ schema: 1, rows: 1 });
    expect(printed.stderr).toBe('');
  });

  it('keeps the digits of numbers above 2^53 as text, and maps as objects', () => {
    make({ json: true }).result({ systemIdentifier: 7_300_000_000_000_000_001n, sizes: new Map([['a', 2n]]) }, () => '');
    expect(JSON.parse(printed.stdout)).toEqual({ schema: 1, systemIdentifier: '7300000000000000001', sizes: { a: '2' } });
  });

  it('has its chatter on stderr, and none of it with --quiet', () => {
    make().say('working');
    make({ quiet: true }).say('still working');
    expect(printed).toEqual({ stdout: '', stderr: 'working\n' });
  });

  it('warns also with --quiet and with --json', () => {
    make({ quiet: true, json: true }).warn('a repository does not answer');
    expect(printed.stdout).toBe('');
    expect(printed.stderr).toContain('a repository does not answer');
  });

  it('has no colours where nobody looks', () => {
    const output = make();
    output.warn('careful');
    output.error(new SpokeError('DISK_FULL', 'no space left'));
    expect(printed.stderr).not.toContain('\u001b[');
  });
});

describe('an error', () => {
  const error = new SpokeError('TOOL_FAILED', 'pgbackrest ended with 103', {
    details: { outputTail: 'ERROR: [103]\nno repository' },
    hint: 'Look there.',
  });

  it('says on stderr what and what next, with the last output of the tool', () => {
    make().error(error);
    expect(printed.stdout).toBe('');
    expect(printed.stderr).toBe('error: pgbackrest ended with 103\n  ERROR: [103]\n  no repository\nnext: Look there.\n');
  });

  it('is with --json one document on stdout too', () => {
    make({ json: true }).error(error);
    expect(JSON.parse(printed.stdout)).toEqual({
      schema: 1,
      error: {
        code: 'TOOL_FAILED',
        exitCode: 22,
        message: 'pgbackrest ended with 103',
        hint: 'Look there.',
        details: { outputTail: 'ERROR: [103]\nno repository' },
      },
    });
  });

  it('that is a bug shows where it came from', () => {
    make().error(asSpokeError(new TypeError('x is not a function')));
    expect(printed.stderr).toMatch(/error: x is not a function\n {2}TypeError: x is not a function\n {6}at /);
  });

  it('that is not a bug shows no stack', () => {
    make().error(new SpokeError('LOCKED', 'in use'));
    expect(printed.stderr).not.toContain('    at ');
  });
});

describe('flushing', () => {
  it('ends once everything has left', async () => {
    await expect(make().flush()).resolves.toBeUndefined();
  });
});
