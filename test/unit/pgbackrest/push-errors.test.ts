import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { pushErrorsOf, readPushErrors } from '../../../src/adapters/pgbackrest/push-errors.ts';
import { SETTINGS } from './settings.ts';

const SEGMENT = '000000010000000000000008';

/** As pgBackRest 2.45 wrote it with the S3 server down, somewhat shorter. */
const S3_DOWN = `104
raised from local-1 protocol: archive-push command encountered error(s):
repo2: [HostConnectError] unable to load info file '/lab/archive/lab/archive.info' or '/lab/archive/lab/archive.info.copy':
HostConnectError: unable to connect to '127.0.0.1:26281': [111] Connection refused
HINT: archive.info cannot be opened but is required to push/get WAL segments.
HINT: has a stanza-create been performed?
[CommandError] on retry after 0ms`;

it('blames the repository that pgBackRest blames, without its guesses', () => {
  const [error, ...others] = pushErrorsOf(SEGMENT, S3_DOWN, SETTINGS);
  expect(others).toEqual([]);
  expect(error).toMatchObject({ segment: SEGMENT, repository: SETTINGS.repositories[1]?.name });
  expect(error?.message).toContain("unable to connect to '127.0.0.1:26281': [111] Connection refused");
  expect(error?.message).not.toMatch(/HINT|raised from|on retry/);
});

it('blames each of several, and all where none is named', () => {
  const both = "104\nerror(s):\nrepo1: [FileOpenError] unable to open '/r'\nrepo2: [HostConnectError] refused\n";
  expect(pushErrorsOf(SEGMENT, both, SETTINGS)).toEqual([
    { segment: SEGMENT, repository: SETTINGS.repositories[0]?.name, message: "unable to open '/r'" },
    { segment: SEGMENT, repository: SETTINGS.repositories[1]?.name, message: 'refused' },
  ]);
  expect(pushErrorsOf(SEGMENT, '45\nWAL file already exists with a different checksum', SETTINGS)).toEqual([
    { segment: SEGMENT, message: 'WAL file already exists with a different checksum' },
  ]);
});

it('names no segment where none could be archived, and shows no secret', () => {
  const secret = SETTINGS.repositories.find((repository) => repository.kind === 's3')?.secretKey ?? '';
  expect(secret).not.toBe('');
  const [error] = pushErrorsOf('global', `103\nunable to find a valid repository:\nrepo2: [ServiceError] ${secret}`, SETTINGS);
  expect(error).toEqual({ repository: SETTINGS.repositories[1]?.name, message: '<redacted>' });
});

it('reads what is in the spool, and finds nothing where there is none', async () => {
  const spoolPath = await mkdtemp(join(tmpdir(), 'spool-'));
  expect(await readPushErrors({ ...SETTINGS, spoolPath })).toEqual([]);
  const out = join(spoolPath, 'archive', SETTINGS.stanza, 'out');
  await mkdir(out, { recursive: true });
  await writeFile(join(out, `${SEGMENT}.error`), S3_DOWN);
  await writeFile(join(out, '000000010000000000000007.ok'), '');
  expect(await readPushErrors({ ...SETTINGS, spoolPath })).toHaveLength(1);
  await rm(spoolPath, { recursive: true });
});
