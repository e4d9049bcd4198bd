import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createS3BlobStore } from '../../../src/adapters/s3/blob-store.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { Replay, RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { useS3Server } from '../../harness/s3.ts';
import { createNative, type NativeUnderTest } from '../backup-engine/native-fixture.ts';

const context: OperationContext = { signal: new AbortController().signal };
const REPOSITORY = 'two' as RepositoryName;
const ROWS = 30;
const s3Server = useS3Server();

describe('replaying from a bucket', () => {
  let tested: NativeUnderTest;
  let label: BackupLabel;

  beforeAll(async () => {
    const { s3, connection } = await s3Server.bucket();
    const store = createS3BlobStore(s3, 'cluster');
    const ways = { open: async () => store, access: async () => ({ connection, prefix: 'cluster' }) };
    tested = await createNative({ second: { name: REPOSITORY, kind: 's3', retentionDays: 7, ...ways } });
    await tested.engine.createRepositories(context);
    await tested.primary.sql('create table ledger (id int)');
    label = await tested.engine.takeBackup({ repository: REPOSITORY, type: 'full', runId: 'run' }, context);
    for (let id = 1; id <= ROWS; id += 1) {
      await tested.primary.sql(`insert into ledger values (${id})`);
      await tested.primary.sql('select pg_switch_wal()');
    }
    await tested.engine.checkArchiving(context);
  });
  afterAll(() => tested.dispose());

  async function restored(name: string): Promise<RestoreRequest> {
    const request: RestoreRequest = {
      ...{ repository: REPOSITORY, label, target: { kind: 'latest' }, timeline: 'latest', targetAction: 'pause', resume: false },
      ...{ dataDirectory: await tested.directory(`${name}.d`), workDirectory: await tested.directory(`${name}.w`), tablespaceMap: [] },
    };
    await tested.engine.restoreBackup(request, context);
    return request;
  }

  async function replay(request: RestoreRequest, settings: Readonly<Record<string, string>>): Promise<string> {
    const server = await tested.serverOn(request.dataDirectory);
    await server.start({ archive_mode: 'off', hot_standby: 'on', ...settings });
    await expect.poll(() => server.sql('select pg_is_in_recovery()'), { timeout: 60_000 }).toBe('f');
    const rows = await server.sql('select count(*) from ledger');
    await server.stop();
    return rows;
  }

  it('fetches ahead, and has no key of the bucket in a file of the restore', async () => {
    const request = await restored('ahead');
    await tested.engine.beginReplay(request, context);
    expect(await replay(request, tested.engine.replaySettings(request))).toBe(String(ROWS));
    await tested.engine.endReplay(request, context);
    expect(readdirSync(request.workDirectory).sort()).toEqual(['backup_manifest', 'lock']);
  });

  it('does without what fetches ahead when that is gone, by a program of its own', async () => {
    const request = await restored('alone');
    const more: Replay = request;
    await tested.engine.beginReplay(more, context);
    rmSync(join(request.workDirectory, 'replay/fetcher'));
    await expect.poll(() => existsSync(join(request.workDirectory, 'replay/fetcher'))).toBe(false);
    expect(await replay(request, tested.engine.replaySettings(request))).toBe(String(ROWS));
    await tested.engine.endReplay(request, context);
  });
});
