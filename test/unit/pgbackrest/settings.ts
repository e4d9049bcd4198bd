import type { PgbackrestSettings, RepositorySettings } from '../../../src/adapters/pgbackrest/settings.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';

export const LOCAL = 'local' as RepositoryName;
export const S3 = 's3' as RepositoryName;

export const LOCAL_REPOSITORY: RepositorySettings = { name: LOCAL, index: 1, kind: 'local', path: '/backup', retentionDays: 7 };

export const S3_REPOSITORY: RepositorySettings = {
  name: S3,
  index: 2,
  kind: 's3',
  bucket: 'bucket',
  endpoint: 'minio.example.org',
  port: 9000,
  region: 'eu-west-1',
  pathPrefix: '/prefix',
  uriStyle: 'path',
  caFile: '/etc/ca.pem',
  verifyTls: true,
  keyType: 'shared',
  accessKey: 'AKIA',
  secretKey: 'canary-secret-key',
  sessionToken: 'canary-token',
  retentionDays: 30,
  cipherPassphrase: 'canary-passphrase',
};

export const SETTINGS: PgbackrestSettings = {
  stanza: 'main',
  command: '/usr/bin/pgbackrest',
  processMax: 4,
  compressType: 'zst',
  compressLevel: 3,
  lockPath: '/state/lock',
  spoolPath: '/state/spool',
  logPath: '/state/log',
  configFile: '/state/pgbackrest.conf',
  extraOptions: { 'archive-timeout': '90' },
  repositories: [LOCAL_REPOSITORY, S3_REPOSITORY],
  postgres: [{ dataDirectory: '/data', port: 5433, socketDirectory: '/run/postgresql' }],
};
