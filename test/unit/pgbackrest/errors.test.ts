import { expect, it } from 'vitest';
import { repositoryTrouble, translateFailure } from '../../../src/adapters/pgbackrest/errors.ts';
import { secretsOf } from '../../../src/adapters/pgbackrest/secrets.ts';
import { LOCAL_REPOSITORY, S3_REPOSITORY, SETTINGS } from './settings.ts';

const S3_REFUSAL = `HTTP request failed with 403 (Forbidden):
       *** Path/Query ***:
       GET /b/?delimiter=%2F&list-type=2&prefix=p%2Fbackup%2F
       *** Request Headers ***:
       authorization: <redacted>
       x-amz-date: <redacted>
       *** Response Headers ***:
       content-type: application/xml
       *** Response Content ***:
       <?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>wrong key</Message></Error>`;

function failing(command: string, exitCode: number, text: string, repository = LOCAL_REPOSITORY) {
  const output = `INFO: ${command} command begin 2.45\nERROR: [${String(exitCode).padStart(3, '0')}]: ${text}\nINFO: ${command} command end: aborted\n`;
  return translateFailure({ command, exitCode, output, repository, secrets: secretsOf(SETTINGS) });
}

// Seen with pgBackRest 2.45, except where the column says so.
it.each([
  ['restore', 29, 'raised from local-2 protocol: lz4 error: [-18] ERROR_contentChecksum_invalid', 'BACKUP_DAMAGED'],
  ['restore', 29, 'raised from local-2 protocol: unexpected eof in compressed data', 'BACKUP_DAMAGED'],
  [
    'restore',
    55,
    "raised from local-2 protocol: unable to open missing file '/r/backup/demo/20261122-221437F/pg_data/base/5/2838.lz4' for read",
    'BACKUP_DAMAGED',
  ],
  ['restore', 38, 'unable to restore while PostgreSQL is running', 'REFUSED_SERVER_RUNNING'],
  ['restore', 40, "unable to restore to path '/d' because it contains files", 'REFUSED_UNSAFE_DIRECTORY'],
  ['restore', 75, 'backup set 20200101-000000F is not valid', 'TARGET_NOT_FOUND'],
  ['restore', 76, "unable to remap invalid tablespace '16384'", 'REFUSED_TABLESPACE'],
  ['restore', 41, "unable to get info for path/file '/x/d/postmaster.pid': [13] Permission denied", 'REFUSED_PRECONDITION'],
  ['restore', 64, "unable to write '/small/x': [28] No space left on device", 'DISK_FULL'],
  ['restore', 64, "raised from local-2 protocol: unable to write '/small/d/base/4/2608'", 'FILE_SYSTEM_FAILED'],
  ['restore', 39, S3_REFUSAL, 'REPOSITORY_DENIED'],
  [
    'restore',
    39,
    S3_REFUSAL.replace('403 (Forbidden)', '404 (Not Found)').replace('SignatureDoesNotMatch', 'NoSuchBucket'),
    'REPOSITORY_UNAVAILABLE',
  ],
  ['restore', 101, '[503] Service Unavailable', 'REPOSITORY_UNAVAILABLE'],
  ['backup', 49, "unable to connect to '127.0.0.1:1': [111] Connection refused", 'REPOSITORY_UNAVAILABLE'],
  ['backup', 95, "unable to find hostname '127.0.0.1' in certificate common name or subject alternative names", 'REPOSITORY_UNAVAILABLE'],
  ['backup', 95, "unable to verify certificate presented by '127.0.0.1:5443': [18] self-signed certificate", 'REPOSITORY_UNAVAILABLE'],
  ['backup', 50, "unable to acquire lock on file '/lock/demo-backup.lock': Resource temporarily unavailable", 'LOCKED'],
  ['backup', 56, 'unable to find primary cluster - cannot proceed', 'POSTGRES_UNAVAILABLE'],
  ['backup', 57, "unable to execute query 'select …': ERROR: permission denied for function pg_backup_start", 'REFUSED_PRECONDITION'],
  ['backup', 57, "unable to execute query 'select …': server closed the connection unexpectedly", 'POSTGRES_UNAVAILABLE'],
  ['backup', 62, 'stop file exists for stanza demo', 'REFUSED_PRECONDITION'],
  ['backup', 63, 'terminated on signal [SIGTERM]', 'TOOL_FAILED'],
  ['check', 82, 'WAL segment 000000010000000000000002 was not archived before the 60000ms timeout', 'TIMED_OUT'],
  ['check', 87, 'archive_mode must be enabled', 'REFUSED_PRECONDITION'],
  ['stanza-create', 28, 'backup and archive info files exist but do not match the database', 'REFUSED_WRONG_CLUSTER'],
  ['stanza-create', 46, 'unexpected control version = 1700 and catalog version = 202406281', 'TOOL_UNSUPPORTED'],
  ['stanza-create', 32, "'x' is not allowed for 'compress-type' option", 'CONFIG_INVALID'],
] as const)('%s that ends with %i "%s" is %s', (command, exitCode, text, expected) => {
  expect(failing(command, exitCode, text).code).toBe(expected);
});

it('a backup that is not valid because its repository did not answer is no missing backup', () => {
  const warning = `WARN: repo2: [HostConnectError] unable to load info file '/p/backup/demo/backup.info' or '/p/backup/demo/backup.info.copy':
      HostConnectError: unable to connect to '127.0.0.1:5443': [111] Connection refused
      HINT: has a stanza-create been performed?`;
  const output = `${warning}\nERROR: [075]: backup set 20261122-221511F is not valid\n`;
  const error = translateFailure({ command: 'restore', exitCode: 75, output, repository: S3_REPOSITORY, secrets: [] });
  expect(error.code).toBe('REPOSITORY_UNAVAILABLE');
  expect(error.message).toContain('Connection refused');
});

it('says what the object store said, without the headers', () => {
  const { message } = failing('restore', 39, S3_REFUSAL, S3_REPOSITORY);
  expect(message).toBe(
    'pgbackrest restore (repository s3) failed: HTTP request failed with 403 (Forbidden): SignatureDoesNotMatch: wrong key',
  );
});

it('says "clock" where the clocks differ', () => {
  const error = failing('backup', 39, S3_REFUSAL.replace('SignatureDoesNotMatch', 'RequestTimeTooSkewed'), S3_REPOSITORY);
  expect(error.code).toBe('REPOSITORY_DENIED');
  expect(error.hint).toContain('clock');
});

it('keeps the last lines of output, and no secret in them', () => {
  const error = failing('backup', 63, 'terminated, canary-secret-key and canary-passphrase in hand');
  expect(error.details).toMatchObject({ command: 'backup', exitCode: 63, repository: 'local' });
  expect(String(error.details['outputTail'])).toContain('command end: aborted');
  expect(JSON.stringify(error.details) + error.message).not.toContain('canary');
});

it('tells of a process that ended without a word', () => {
  expect(translateFailure({ command: 'check', exitCode: 9, output: '\n', secrets: [] }).message).toContain('exit code 9');
});

it.each([
  ["[HostConnectError] unable to get address for 'b.no.such.host.invalid': [-2] Name or service not known", 'REPOSITORY_UNAVAILABLE'],
  [`[ProtocolError] ${S3_REFUSAL}`, 'REPOSITORY_DENIED'],
  ['[ServiceError] [503] Service Unavailable', 'REPOSITORY_UNAVAILABLE'],
  ["[PathOpenError] unable to list file info for path '/r1/backup': [13] Permission denied", 'REPOSITORY_DENIED'],
  ["[FileOpenError] unable to load info file '/r1/backup/demo/backup.info': [20] Not a directory", 'REPOSITORY_UNAVAILABLE'],
  [
    "[CryptoError] unable to load info file '/r1/backup/demo/backup.info':\nCryptoError: cipher header invalid\nHINT: is or was the repo encrypted?",
    'REPOSITORY_DENIED',
  ],
  [
    "[FormatError] unable to load info file '/r1/backup/demo/backup.info':\nFormatError: key/value found outside of section at line 1: garbage",
    'BACKUP_DAMAGED',
  ],
  ['[SomethingNewError] whatever', 'REPOSITORY_UNAVAILABLE'],
  ['whatever', 'REPOSITORY_UNAVAILABLE'],
])('a repository that info calls "%s" is %s', (message, expected) => {
  expect(repositoryTrouble(LOCAL_REPOSITORY, message, []).code).toBe(expected);
});

it('suspects the passphrase of an encrypted repository before it calls its catalogue damaged', () => {
  const message =
    "[FormatError] unable to load info file '/p/backup/demo/backup.info':\nFormatError: key/value found outside of section at line 1: i\u0001\ufffd";
  const error = repositoryTrouble(S3_REPOSITORY, message, []);
  expect(error.code).toBe('REPOSITORY_DENIED');
  expect(error.hint).toContain('encryptionPassphrase');
  expect(error.message).not.toMatch(/[\p{Cc}\ufffd]/u);
});
