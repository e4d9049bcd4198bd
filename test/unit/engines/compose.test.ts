import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { composeEngines, type EngineParts } from '../../../src/composition-engines.ts';
import { clusterYaml, fakeRunner, parse, temporaryDirectory } from '../config/helpers.ts';

const S3 = '{name: s3, kind: s3, bucket: backups, endpoint: s3.example.org, region: eu, keyType: auto';

it.each([
  ['{type: aws:kms, kmsKeyId: alias/backups}', 'repo1-s3-kms-key-id=alias/backups'],
  ['{type: AES256}', undefined],
])('pgBackRest is told of encryption by the service where it knows that: %s', async (encryption, option) => {
  const directory = await temporaryDirectory();
  const body = clusterYaml(`repositories: [${S3}, serverSideEncryption: ${encryption}}]`);
  const { configuration } = parse(`stateDirectory: ${directory}\n${body}`);
  const cluster = configuration.clusters.get('main')!;
  const runner = fakeRunner(() => ({}));
  const { signal } = new AbortController();
  const secrets = { environment: {}, processes: runner, signal };
  // No server, and nobody but us: nothing else of what engines are made of is asked for.
  const parts = { configuration, cluster, primary: undefined, user: undefined, secrets, runner } as unknown as EngineParts;
  const { engine } = await composeEngines(parts);
  await engine.writeConfiguration();
  const text = await readFile(join(directory, 'pgbackrest/main/pgbackrest.conf'), 'utf8');
  expect(text.split('\n').filter((line) => line.includes('kms'))).toEqual(option === undefined ? [] : [option]);
});
