import { createS3BlobStore } from '../../../src/adapters/s3/blob-store.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { useS3Server } from '../../harness/s3.ts';
import { describeBackupEngine } from './backup-engine.contract.ts';
import { createNative } from './native-fixture.ts';

const server = useS3Server();

describeBackupEngine('the native engine with a local repository and one in S3', async () => {
  const { s3, connection } = await server.bucket();
  const prefix = 'cluster';
  const store = createS3BlobStore(s3, prefix);
  const ways = { open: async () => store, access: async () => ({ connection, prefix }) };
  return createNative({ second: { name: 'two' as RepositoryName, kind: 's3', retentionDays: 7, ...ways } });
});
