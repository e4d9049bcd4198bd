import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellLine, sshArguments } from '../../../src/adapters/ssh/arguments.ts';
import { connectionFailure } from '../../../src/adapters/ssh/failure.ts';
import { Outbox } from '../../../src/adapters/ssh/outbox.ts';

const SSH = { host: 'db2', port: 22, command: ['spoke-backup'] };

describe('the line for the shell of the other host', () => {
  it('is taken apart by a shell into the very words that went in', () => {
    const word = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '',
        ' ',
        "'",
        '"',
        '\\',
        '$(id)',
        '`id`',
        'x; rm -rf /',
        '-n',
        '*',
        '!!',
        'a\nb',
        "it's",
        '~',
        '#',
        '${IFS}',
        'ä',
        '&&',
      ),
    );
    const clean = word.map((text) => text.replaceAll(/[\0\ud800-\udfff]/g, ''));
    fc.assert(
      fc.property(fc.array(clean, { minLength: 1, maxLength: 6 }), (words) => {
        const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${shellLine(words)}`], { encoding: 'utf8' });
        expect(printed.split('\0').slice(0, -1)).toEqual(words);
      }),
      { numRuns: 60 },
    );
  });
});

describe('what ssh is started with', () => {
  const argv = (changes: Partial<Parameters<typeof sshArguments>[0]> = {}) =>
    sshArguments({ ...SSH, ...changes }, ['spoke-backup', 'agent']);

  it('asks nothing, trusts nobody new, forwards nothing, and gives up in time', () => {
    for (const option of ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'UpdateHostKeys=no', 'ForwardAgent=no', 'ClearAllForwardings=yes'])
      expect(argv()).toContain(option);
    expect(argv().join(' ')).toMatch(/ConnectTimeout=\d+ .*ServerAliveInterval=\d+/);
  });

  it('ends with the host and one line, after which nothing can be an option', () => {
    expect(argv().slice(-3)).toEqual(['--', 'db2', "'spoke-backup' 'agent'"]);
  });

  it('uses the keys that are configured, and only those', () => {
    const with_ = argv({ identityFile: '/etc/a "b" 100%', knownHostsFile: '/etc/known hosts', user: 'postgres', port: 2222 });
    expect(with_).toContain('IdentityFile="/etc/a \\"b\\" 100%%"');
    expect(with_).toContain('IdentitiesOnly=yes');
    expect(with_).toContain('UserKnownHostsFile="/etc/known hosts"');
    expect(with_).toContain('GlobalKnownHostsFile=/dev/null');
    expect(with_.slice(0, 5)).toEqual(['-T', '-p', '2222', '-l', 'postgres']);
    expect(argv().join(' ')).not.toContain('KnownHostsFile');
  });
});

/** As OpenSSH 9 prints them. */
describe('why there is no connection', () => {
  const failure = (exitCode: number, stderrTail: string, hadAnswered = false) =>
    connectionFailure({ ...SSH, user: 'postgres' }, { exitCode, stderrTail, hadAnswered });

  it.each([
    [
      'No ED25519 host key is known for db2 and you have requested strict checking.\r\nHost key verification failed.\r\n',
      'HOST_KEY_UNKNOWN',
    ],
    ['@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.\r\n', 'HOST_KEY_UNKNOWN'],
    ['postgres@db2: Permission denied (publickey).\r\n', 'HOST_DENIED'],
    ['Received disconnect from 10.0.0.2 port 22:2: Too many authentication failures\r\n', 'HOST_DENIED'],
    ['ssh: connect to host db2 port 22: Connection refused\r\n', 'HOST_UNREACHABLE'],
    ['ssh: connect to host db2 port 22: Connection timed out\r\n', 'HOST_UNREACHABLE'],
    ['ssh: Could not resolve hostname db2: Name or service not known\r\n', 'HOST_UNREACHABLE'],
    ['kex_exchange_identification: Connection closed by remote host\r\n', 'HOST_UNREACHABLE'],
    ['', 'HOST_UNREACHABLE'],
  ])('%j is %s', (stderr, code) => {
    const error = failure(255, stderr);
    expect(error.code).toBe(code);
    expect(error.message).toContain('postgres@db2');
  });

  it('tells a changed key from one that was never known', () => {
    expect(failure(255, 'REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.').message).toContain('another key');
  });

  it('knows a host without spoke-backup, and one with another version of it', () => {
    expect(failure(127, 'bash: line 1: spoke-backup: command not found')).toMatchObject({ code: 'TOOL_MISSING' });
    expect(failure(126, 'Permission denied')).toMatchObject({ code: 'TOOL_MISSING' });
    expect(failure(2, "error: unknown command 'agent'")).toMatchObject({ code: 'TOOL_UNSUPPORTED' });
    expect(failure(22, 'the program is not built')).toMatchObject({ code: 'TOOL_FAILED' });
  });

  it('lets a step be tried again whose connection broke', () => {
    for (const exitCode of [255, 0, 137])
      expect(failure(exitCode, 'Broken pipe', true)).toMatchObject({ code: 'HOST_UNREACHABLE', retry: 'transient' });
  });
});

describe('an outbox', () => {
  it('lets whoever reads stop without waiting for a line that never comes', async () => {
    const reading = new Outbox()[Symbol.asyncIterator]();
    const next = reading.next();
    await reading.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
