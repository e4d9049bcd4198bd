import { expect, it } from 'vitest';
import { configurationText } from '../../../src/adapters/pgbackrest/configuration.ts';
import { SpokeError } from '../../../src/errors.ts';
import { LOCAL_REPOSITORY, S3_REPOSITORY, SETTINGS } from './settings.ts';

/** The options of a section by name. */
function section(text: string, name: string): Record<string, string> {
  const body = text.split(`[${name}]\n`)[1]?.split(/^\[/m)[0] ?? '';
  return Object.fromEntries(
    body.split('\n').flatMap((line) => (line === '' ? [] : [[line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]])),
  );
}

it('configures a local repository with its retention in days', () => {
  expect(section(configurationText(SETTINGS), 'global')).toMatchObject({
    'repo1-path': '/backup',
    'repo1-retention-full': '7',
    'repo1-retention-full-type': 'time',
  });
});

it('configures an S3 repository with TLS, its credentials and its encryption', () => {
  expect(section(configurationText(SETTINGS), 'global')).toMatchObject({
    'repo2-type': 's3',
    'repo2-path': '/prefix',
    'repo2-s3-bucket': 'bucket',
    'repo2-s3-endpoint': 'minio.example.org',
    'repo2-s3-region': 'eu-west-1',
    'repo2-s3-uri-style': 'path',
    'repo2-s3-key': 'AKIA',
    'repo2-s3-key-secret': 'canary-secret-key',
    'repo2-s3-token': 'canary-token',
    'repo2-storage-port': '9000',
    'repo2-storage-ca-file': '/etc/ca.pem',
    'repo2-storage-verify-tls': 'y',
    'repo2-retention-full': '30',
    'repo2-cipher-type': 'aes-256-cbc',
    'repo2-cipher-pass': 'canary-passphrase',
  });
});

it('names the key that the service encrypts with, where there is one', () => {
  const repositories = [{ ...S3_REPOSITORY, kmsKeyId: 'alias/backups' }];
  expect(section(configurationText({ ...SETTINGS, repositories }), 'global')).toMatchObject({ 'repo2-s3-kms-key-id': 'alias/backups' });
  expect(configurationText(SETTINGS)).not.toContain('kms');
});

it('leaves nothing to defaults that differ between versions: log levels, paths, the immediate checkpoint', () => {
  expect(section(configurationText(SETTINGS), 'global')).toMatchObject({
    'log-level-console': 'off',
    'log-level-stderr': 'warn',
    'log-level-file': 'info',
    'log-path': '/state/log',
    'lock-path': '/state/lock',
    'spool-path': '/state/spool',
    'start-fast': 'y',
    'expire-auto': 'n',
    'process-max': '4',
    'compress-type': 'zst',
    'compress-level': '3',
    'archive-timeout': '90',
  });
});

it('archives into each of several repositories on its own, so that one that is down holds up no other', () => {
  const text = configurationText({ ...SETTINGS, extraOptions: {} });
  expect(section(text, 'global')).toMatchObject({ 'archive-async': 'y', 'archive-timeout': '180' });
  expect(section(text, 'global:archive-push')).toEqual({ 'io-timeout': '15' });
});

it('leaves how long is waited to extraOptions, and names no option twice', () => {
  const text = configurationText({ ...SETTINGS, extraOptions: { 'io-timeout': '5', 'archive-timeout': '90' } });
  expect(section(text, 'global')).toMatchObject({ 'io-timeout': '5', 'archive-timeout': '90' });
  expect(text.match(/^archive-timeout=/gm)).toHaveLength(1);
  expect(text).not.toContain('[global:archive-push]');
});

it('archives asynchronously into a single repository too, with the times that are pgBackRest’s own', () => {
  const text = configurationText({ ...SETTINGS, extraOptions: {}, repositories: [LOCAL_REPOSITORY] });
  expect(section(text, 'global')).toMatchObject({ 'archive-async': 'y', 'spool-path': '/state/spool' });
  expect(text).not.toContain('archive-timeout');
  expect(text).not.toContain('[global:archive-push]');
});

it('never limits the queue: a limit drops WAL and calls it archived', () => {
  for (const repositories of [SETTINGS.repositories, [LOCAL_REPOSITORY]])
    expect(configurationText({ ...SETTINGS, extraOptions: {}, repositories })).not.toContain('queue-max');
});

it('names the server in the section of the stanza', () => {
  expect(section(configurationText(SETTINGS), 'main')).toEqual({
    'pg1-path': '/data',
    'pg1-port': '5433',
    'pg1-socket-path': '/run/postgresql',
  });
});

it('writes no encryption where there is no passphrase', () => {
  expect(configurationText({ ...SETTINGS, repositories: [LOCAL_REPOSITORY] })).not.toContain('cipher');
});

it.each(['two\nlines', 'cr\rhere', 'nul\0byte', ' leading', 'trailing '])(
  'refuses a value that an ini file cannot hold: %j',
  (cipherPassphrase) => {
    const settings = { ...SETTINGS, repositories: [{ ...LOCAL_REPOSITORY, cipherPassphrase }] };
    expect(() => configurationText(settings)).toThrow(SpokeError);
    try {
      configurationText(settings);
    } catch (thrown) {
      expect((thrown as SpokeError).code).toBe('CONFIG_INVALID');
      expect((thrown as SpokeError).message).toContain('repo1-cipher-pass');
      expect((thrown as SpokeError).message).not.toContain(cipherPassphrase);
    }
  },
);
