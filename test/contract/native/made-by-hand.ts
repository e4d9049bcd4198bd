import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import type { NativeCatalog } from '../../../src/adapters/native/catalog/catalog.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../src/domain/native/backup-record.ts';
import { backupKey } from '../../../src/domain/native/layout.ts';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import { newestInstallation, type TestArea, type TestServer } from '../../harness/postgres.ts';

export const REPOSITORY = 'hand' as RepositoryName;

/** A native repository that no program of ours has written: pg_basebackup, zstd and sha256sum have. */
export interface MadeByHand {
  readonly directory: string;
  readonly parts: NativeParts;
  readonly catalog: NativeCatalog;
  /** For the server whose WAL shall come there. */
  readonly archiveCommand: string;
  backup(primary: TestServer, label: string): Promise<BackupLabel>;
}

export async function makeByHand(area: TestArea): Promise<MadeByHand> {
  const { major, binDirectory } = await newestInstallation();
  const directory = await area.directory('repository');
  const native = await area.directory('native');
  await writeFile(
    join(native, 'wal.conf'),
    `layout=1\neach_local() { "$1" ${REPOSITORY} ${directory}; }\neach_remote() { :; }\nhome_name=${REPOSITORY}\n`,
  );
  const records = new Map<BackupLabel, BackupRecord>();
  const settings = {
    cluster: 'main',
    directory: native,
    programDirectory: join(import.meta.dirname, '../../../bin'),
    binDirectoryOf: () => Promise.resolve(binDirectory),
    ...({ compressType: 'zst', compressLevel: 3, backupFrom: 'primary', ack: 'local', ackTimeoutSeconds: 60 } as const),
    repositories: [
      {
        ...({ name: REPOSITORY, kind: 'local', retentionDays: 7, directory } as const),
        open: () => Promise.resolve(createFileBlobStore({ directory, owner: area.owner })),
      },
    ],
    nodes: [],
    user: area.owner,
  };
  const parts = {
    settings,
    runner: createProcessRunner(),
    clock: undefined,
    postgres: undefined,
    postgresWriter: undefined,
  } as unknown as NativeParts;
  return {
    directory,
    parts,
    catalog: catalogOf(directory, records),
    archiveCommand: archiveCommandInto(directory),
    async backup(primary, name) {
      const label = name as BackupLabel;
      const record = await takeByHand(area, { directory, primary, label, binDirectory, major });
      records.set(label, record);
      return label;
    },
  };
}

function archiveCommandInto(directory: string): string {
  const to = `${directory}/wal`;
  return `case %f in *.history) d=${to} ;; *) d=${to}/$(echo %f | cut -c1-16) ;; esac; mkdir -p $d && zstd -q -f --check %p -o $d/%f.zst`;
}

interface Taking {
  readonly directory: string;
  readonly primary: TestServer;
  readonly label: BackupLabel;
  readonly binDirectory: string;
  readonly major: number;
}

async function takeByHand(area: TestArea, { directory, primary, label, binDirectory, major }: Taking): Promise<BackupRecord> {
  const to = join(directory, 'backups', label);
  await area.run('mkdir', ['-p', join(directory, 'backups')]);
  const connection = ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres'];
  await area.run(join(binDirectory, 'pg_basebackup'), [...connection, '-D', to, '-Ft', '-X', 'none', '-c', 'fast', '--no-sync']);
  const tars = (await readdir(to)).filter((name) => name.endsWith('.tar'));
  for (const tar of tars) await area.run('zstd', ['-q', '--rm', '--check', join(to, tar)]);
  const [systemIdentifier = '', segmentBytes = ''] = (
    await primary.sql(
      'select system_identifier, (select setting from pg_settings where name = $$wal_segment_size$$) from pg_control_system()',
    )
  ).split('|');
  await writeFile(join(directory, 'cluster.json'), `{"layoutVersion": 1, "walSegmentBytes": ${segmentBytes}}\n`);
  await writeFile(join(to, 'backup.json'), '{}\n');
  const sums = await Promise.all(
    (await readdir(to)).sort().map(
      async (name) =>
        `${createHash('sha256')
          .update(await readFile(join(to, name)))
          .digest('hex')}  ${name}\n`,
    ),
  );
  await writeFile(join(to, 'SHA256SUMS'), sums.join(''));
  const tablespaces = (await primary.sql('select oid, spcname, pg_tablespace_location(oid) from pg_tablespace where oid > 16000'))
    .split('\n')
    .filter((line) => line !== '');
  return {
    ...{
      layoutVersion: 1,
      label,
      type: 'full',
      references: [],
      runId: label,
      systemIdentifier: BigInt(systemIdentifier) as SystemIdentifier,
    },
    ...{
      postgresMajor: major,
      walSegmentBytes: Number(segmentBytes),
      timeline: timelineIdOf(1),
      startLsn: parseLsn('0/0'),
      stopLsn: parseLsn('0/0'),
    },
    ...{
      startTime: instantOfMicros(0n),
      stopTime: instantOfMicros(0n),
      databaseBytes: 0n,
      storedBytes: 0n,
      dataChecksums: true,
      hasPageErrors: false,
    },
    ...{ source: { node: 'a', inRecovery: false }, compressType: 'zst', recipients: [], madeBy: [] },
    archives: [
      { name: 'base.tar.zst', storedBytes: BigInt((await stat(join(to, 'base.tar.zst'))).size) },
      ...tablespaces.map((line) => {
        const [oid = '', tablespaceName = '', tablespaceLocation = ''] = line.split('|');
        return { name: `${oid}.tar.zst`, tablespaceOid: Number(oid), tablespaceName, tablespaceLocation, storedBytes: 0n };
      }),
    ],
  };
}

function catalogOf(directory: string, records: ReadonlyMap<BackupLabel, BackupRecord>): NativeCatalog {
  return {
    readRecord(_repository, label) {
      const record = records.get(label);
      return record === undefined ? Promise.reject(new SpokeError('TARGET_NOT_FOUND', `no ${label}`)) : Promise.resolve(record);
    },
    async readSums(_repository, label) {
      const text = await readFile(join(directory, backupKey(label, 'SHA256SUMS')), 'utf8');
      return new Map(
        text
          .trimEnd()
          .split('\n')
          .map((line) => [line.slice(66), line.slice(0, 64)] as const),
      );
    },
  } as Pick<NativeCatalog, 'readRecord' | 'readSums'> as NativeCatalog;
}
