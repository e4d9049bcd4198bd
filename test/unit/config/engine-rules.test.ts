import { describe, expect, it } from 'vitest';
import { clusterYaml, errorOf, parse, parseCluster } from './helpers.ts';

const LOCAL = 'repositories: [{name: local, kind: local, path: /backups}]';
const S3 = 'repositories: [{name: s3, kind: s3, bucket: backups, endpoint: s3.example.org, region: eu, keyType: auto}]';

const messageOf = (body: string) => errorOf(() => parse(clusterYaml(body))).message;

describe('the engine of a repository', () => {
  it('is that of the cluster where it names none', () => {
    const { repositories } = parseCluster(
      `engine: native\n${LOCAL.replace('}]', '}, {name: old, kind: local, path: /old, engine: pgbackrest}]')}`,
    );
    expect(repositories.map(({ name, engine }) => [name, engine])).toEqual([
      ['local', 'native'],
      ['old', 'pgbackrest'],
    ]);
  });

  it('is one of two, and anything else is named with its place', () => {
    expect(messageOf('engine: barman')).toBe('clusters.main.engine must be one of pgbackrest, native at /etc/config.yaml:3:5');
  });
});

describe('WAL counts as archived', () => {
  it.each([
    ['when a native repository on this machine has it', `engine: native\n${LOCAL}`, 'local'],
    ['when every repository has it, where none of them is on this machine', `engine: native\n${S3}`, 'all'],
    ['when every repository has it, where the one on this machine is not ours', LOCAL, 'all'],
    ['as it is said', `engine: native\n${LOCAL}\narchiving: {ack: all}`, 'all'],
  ])('%s', (_name, body, ack) => {
    expect(parseCluster(body).archiving.ack).toBe(ack);
  });

  it.each([
    ['there is none on this machine', `engine: native\n${S3}`, 8],
    ['the one on this machine is kept by another engine', LOCAL, 7],
  ])('not by a local repository where %s', (_name, body, line) => {
    expect(messageOf(`${body}\narchiving:\n  ackTimeoutSeconds: 5\n  ack: local`)).toContain(
      `clusters.main.archiving.ack local needs a native repository of kind local: without one nothing on this machine keeps the WAL at /etc/config.yaml:${line - 1}:`,
    );
  });
});

describe('a native repository', () => {
  it('has no passphrase, and it is said what encrypts it instead', () => {
    const message = messageOf(`engine: native\n${LOCAL.replace('}]', ', encryptionPassphrase: "${env:SECRET}"}]')}`);
    expect(message).toContain('clusters.main.repositories[0].encryptionPassphrase');
    expect(message).toContain('encryption.recipients');
    expect(message).toMatch(/:4:\d+$/);
  });

  it.each([
    ['recipients that are no public keys', 'encryption: {recipients: [AGE-SECRET-KEY-1QQQ]}', 'must be a public key of age'],
    ['no recipients', 'encryption: {recipients: []}', 'must have at least 1'],
    ['a level that lz4 does not have', 'native: {compressType: lz4, compressLevel: 13}', 'must be 1 to 12 for lz4'],
    ['a level that zstd needs much memory for', 'native: {compressLevel: 20}', 'must be at most 19'],
    ['a rate that pg_basebackup does not take', 'native: {maxRateKib: 31}', 'must be at least 32'],
    ['neither full nor nothing', 'native: {withoutIncremental: diff}', 'must be one of full, nothing'],
  ])('is not given %s', (_name, body, message) => {
    expect(messageOf(`engine: native\n${LOCAL}\n${body}`)).toContain(message);
  });
});
