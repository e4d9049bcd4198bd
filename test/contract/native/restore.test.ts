import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRestores } from '../../../src/adapters/native/restore/restore.ts';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext, Progress } from '../../../src/ports/operation.ts';
import { createCluster, createTestArea, serverOn, type TestArea, type TestServer } from '../../harness/postgres.ts';
import { type MadeByHand, makeByHand, REPOSITORY } from './made-by-hand.ts';

const context: OperationContext = { signal: new AbortController().signal };

describe('restoring a native backup', () => {
  let area: TestArea;
  let primary: TestServer;
  let made: MadeByHand;
  let full: BackupLabel;
  let place: string;

  beforeAll(async () => {
    area = await createTestArea();
    made = await makeByHand(area);
    primary = await createCluster(area, 'primary');
    await primary.start({ archive_mode: 'on', archive_command: made.archiveCommand });
    place = await area.directory('place');
    await primary.sql(`create tablespace side location '${place}'`);
    await primary.sql('create table apart tablespace side as select generate_series(1, 1000) as id');
    await primary.sql('create table ledger as select 1 as id');
    full = await made.backup(primary, '20261125-020003F');
    await primary.sql('insert into ledger values (2)');
    await primary.sql('select pg_switch_wal()');
  });
  afterAll(() => area.remove());

  let restores = 0;
  const restoring = () =>
    createRestores(made.parts, made.catalog, {
      isConfigurationCurrent: () => Promise.resolve(true),
      writeConfiguration: () => Promise.resolve(),
    });
  async function requestOf(more: Partial<RestoreRequest> = {}): Promise<RestoreRequest> {
    restores += 1;
    const oid = Number(await primary.sql("select oid from pg_tablespace where spcname = 'side'"));
    return {
      ...{ repository: REPOSITORY, label: full, target: { kind: 'latest' }, timeline: 'latest', targetAction: 'pause', resume: false },
      ...{ dataDirectory: await area.directory(`r${restores}`), workDirectory: await area.directory(`w${restores}`) },
      tablespaceMap: [{ oid, location: await area.directory(`t${restores}`) }],
      ...more,
    };
  }

  it('brings a backup where it is told to, tells how far it is, and a server recovers from it', async () => {
    const request = await requestOf();
    const seen: Progress[] = [];
    await restoring().restoreBackup(request, { ...context, onProgress: (progress) => seen.push(progress) });
    expect(existsSync(`${request.dataDirectory}/global/pg_control`)).toBe(true);
    expect(seen.findLast(({ phase }) => phase === 'copy')?.percent).toBe(100);
    const server = await serverOn(area, request.dataDirectory, 's1');
    await server.start({ archive_mode: 'off' });
    await expect.poll(() => server.sql('select pg_is_in_recovery()'), { timeout: 60_000 }).toBe('f');
    expect(await server.sql('select string_agg(id::text, $$,$$ order by id) from ledger')).toBe('1,2');
    expect(await server.sql('select count(*), pg_tablespace_location(oid) from apart, pg_tablespace where oid > 16000 group by 2')).toBe(
      `1000|${request.tablespaceMap[0]?.location}`,
    );
    await server.stop();
  });

  it('fetches WAL ahead of a server that replays, and leaves nothing of it', async () => {
    const request = await requestOf();
    const engine = restoring();
    await engine.restoreBackup(request, context);
    const server = await serverOn(area, request.dataDirectory, 's2');
    for (let segment = 0; segment < 30; segment += 1) await primary.sql('insert into ledger select 3; select pg_switch_wal()');
    await engine.beginReplay(request, context);
    await server.start({ archive_mode: 'off', ...engine.replaySettings(request) });
    await expect.poll(() => server.sql('select pg_is_in_recovery()'), { timeout: 60_000 }).toBe('f');
    await server.stop();
    await engine.endReplay(request, context);
    expect(readdirSync(request.workDirectory)).toEqual(['backup_manifest', 'lock']);
    expect(await server.serverLog()).not.toContain('spoke-wal-get');
  });
});
