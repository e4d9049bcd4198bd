import { expect, test } from 'vitest';
import { SpokeError } from '../../../src/errors.ts';
import { externalServer } from '../../../src/lab/s3-server/external-server.ts';

const complete = {
  SPOKE_LAB_S3_ENDPOINT: 'https://s3.example:9000/',
  SPOKE_LAB_S3_BUCKET: 'tests',
  SPOKE_LAB_S3_ACCESS_KEY: 'key',
  SPOKE_LAB_S3_SECRET_KEY: 'secret',
};

function codeOf(environment: Record<string, string>): string {
  try {
    externalServer(environment);
    return 'accepted';
  } catch (thrown) {
    return thrown instanceof SpokeError ? thrown.code : String(thrown);
  }
}

test('without an endpoint in the environment there is no external server', () => {
  expect(externalServer({ ...complete, SPOKE_LAB_S3_ENDPOINT: '' })).toBeUndefined();
  expect(externalServer({})).toBeUndefined();
});

test('the environment names endpoint, bucket and keys, and may name region and CA', () => {
  expect(externalServer(complete)).toMatchObject({
    kind: 'external',
    endpoint: 'https://s3.example:9000',
    bucket: 'tests',
    region: 'us-east-1',
  });
  const more = { ...complete, SPOKE_LAB_S3_REGION: 'eu-west-3', SPOKE_LAB_S3_CA_FILE: '/etc/ca.pem' };
  expect(externalServer(more)).toMatchObject({ region: 'eu-west-3', caFile: '/etc/ca.pem' });
});

test.each(['BUCKET', 'ACCESS_KEY', 'SECRET_KEY'])('an endpoint without SPOKE_LAB_S3_%s is refused', (name) => {
  expect(codeOf({ ...complete, [`SPOKE_LAB_S3_${name}`]: '' })).toBe('USAGE');
});

test('an endpoint without TLS is refused, since pgBackRest knows no other', () => {
  expect(codeOf({ ...complete, SPOKE_LAB_S3_ENDPOINT: 'http://s3.example' })).toBe('USAGE');
  expect(codeOf({ ...complete, SPOKE_LAB_S3_ENDPOINT: 's3.example' })).toBe('USAGE');
});
