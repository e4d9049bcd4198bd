import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { newestInstallation } from '../../harness/postgres.ts';
import { createPgbackrest, pathOf, type PgbackrestUnderTest } from './pgbackrest-fixture.ts';

const [ONE, TWO] = ['one', 'two'] as unknown as readonly [RepositoryName, RepositoryName];
const context: OperationContext = { signal: new AbortController().signal };
/** The first segment of the second folder, with segments of 16 MiB: 256 fill 4 GiB. */
const SECOND_FOLDER = 256n;

describe('the WAL archive of pgBackRest', () => {
  let tested: PgbackrestUnderTest;

  beforeAll(async () => {
    tested = await createPgbackrest();
    await tested.engine.createRepositories(context);
    await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-1' }, context);
  });
  afterAll(() => tested.dispose());

  const read = (onlySinceNewestBackup: boolean) => tested.reader.readRepository(ONE, { walArchive: true, onlySinceNewestBackup }, context);

  it('is the same, whole or from the newest backup on, while all of it is in one folder', async () => {
    const [whole, recent] = [await read(false), await read(true)];
    expect(whole.walArchive).not.toHaveProperty('listedFrom');
    expect(recent.walArchive).toEqual({ ...whole.walArchive, listedFrom: 0n });
  });

  it('is listed from the folder of the newest backup on, and says so', async () => {
    const { primary, area } = tested;
    await primary.stop('fast');
    const { binDirectory } = await newestInstallation();
    await area.run(join(binDirectory, 'pg_resetwal'), ['-l', '000000010000000100000010', '-D', primary.dataDirectory]);
    await primary.start(tested.engine.archivingSettings());
    await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-2' }, context);
    const [whole, recent] = [await read(false), await read(true)];
    expect(recent.walArchive?.listedFrom).toBe(SECOND_FOLDER);
    expect(whole.walArchive?.ranges.some(({ firstSegment }) => firstSegment < SECOND_FOLDER)).toBe(true);
    expect(recent.walArchive?.ranges).toEqual(whole.walArchive?.ranges.filter(({ firstSegment }) => firstSegment >= SECOND_FOLDER));
    expect(recent.backups).toEqual(whole.backups);
  });

  it('takes a segment that lies elsewhere into the repository that lacks it, and never other bytes of that name', async () => {
    const { primary, engine, settings, area } = tested;
    await primary.sql('select pg_current_xact_id()');
    const segment = await primary.sql('select pg_walfile_name(pg_switch_wal())');
    const elsewhere = join(await area.directory('elsewhere'), segment);
    const stored = (repository: RepositoryName) => storedSegment(settings, repository, segment);
    await expect.poll(() => [stored(ONE), stored(TWO)].filter((path) => path !== undefined), { timeout: 30_000 }).toHaveLength(2);
    await area.run('cp', [join(primary.dataDirectory, 'pg_wal', segment), elsewhere]);
    await rm(stored(TWO) ?? '');
    await engine.archiveSegment(elsewhere, context);
    expect(stored(TWO)).toContain(segment);
    await engine.archiveSegment(elsewhere, context);
    // Behind the header, which tells the cluster.
    await area.run('dd', ['if=/dev/urandom', `of=${elsewhere}`, 'bs=1024', 'seek=8', 'count=1', 'conv=notrunc', 'status=none']);
    await expect(engine.archiveSegment(elsewhere, context)).rejects.toThrow(/different checksum/);
  });

  it('notes for a repository that is away why a segment does not get there', async () => {
    expect(await tested.reader.readPushErrors()).toEqual([]);
    const bringBack = await tested.takeAway(TWO);
    await tested.primary.sql('select pg_current_xact_id()');
    const segment = await tested.primary.sql('select pg_walfile_name(pg_switch_wal())');
    await expect
      .poll(() => tested.reader.readPushErrors(), { timeout: 30_000 })
      .toContainEqual({
        segment,
        repository: TWO,
        message: expect.stringMatching(/archive\.info|Permission denied|Not a directory/),
      });
    await bringBack();
    await tested.engine.checkArchiving(context);
    expect(await tested.reader.readPushErrors()).toEqual([]);
  });
});

/** The file in which a repository has a segment. */
function storedSegment(settings: PgbackrestUnderTest['settings'], repository: RepositoryName, segment: string): string | undefined {
  const archive = join(pathOf(settings, repository), 'archive');
  const found = readdirSync(archive, { recursive: true, encoding: 'utf8' }).find((path) => path.includes(`/${segment}-`));
  return found === undefined ? undefined : join(archive, found);
}
