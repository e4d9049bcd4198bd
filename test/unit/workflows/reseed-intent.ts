import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { lsnOf } from '../../../src/domain/postgres/lsn.ts';
import type { ReplicationSlot } from '../../../src/domain/topology/replication-facts.ts';
import type { ReseedMethodName } from '../../../src/domain/topology/reseed-facts.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import type { ReseedProgress } from '../../../src/workflows/reseed/facts.ts';
import { type ReseedIntent, worksInPlace } from '../../../src/workflows/reseed/intent.ts';
import { restoreAreaFor } from '../../../src/workflows/restore/intent.ts';

export const DATA = '/srv/replica-2/data';
export const OLD = `${DATA}.old-k3f9`;

export function intentFor(method: ReseedMethodName, changes: Partial<ReseedIntent> = {}): ReseedIntent {
  const isRestore = method === 'delta' || method === 'backup';
  return {
    cluster: 'main',
    node: 'replica-2',
    primary: 'primary-1',
    systemIdentifier: '7000000000000000001',
    postgresMajor: 17,
    method,
    source: isRestore ? { kind: 'repository', name: 'local' } : { kind: 'primary', name: 'primary-1' },
    reason: 'it moves the fewest bytes',
    backup: isRestore ? { repository: 'local' as RepositoryName, label: '20261124-020000F' as BackupLabel } : null,
    conninfo: 'host=db1 port=5432 user=replicator passfile=/srv/replica-2/data.pgpass',
    instead: null,
    dataDirectory: DATA,
    destinationIdentity: '1:10',
    oldDataDirectory: worksInPlace(method) ? null : OLD,
    keepOld: false,
    area: restoreAreaFor(DATA, 'k3f9'),
    owner: { uid: 101, gid: 101, name: 'postgres' },
    service: { manager: 'pg_ctl' },
    port: 5433,
    socketDirectory: '/tmp',
    configFile: null,
    slot: 'replica_2',
    settings: { primary_slot_name: 'replica_2' },
    restoreFrom: 'local' as RepositoryName,
    rewindFrom: 'local' as RepositoryName,
    passfile: { path: `${DATA}.pgpass`, role: 'replicator', servers: [{ host: 'db1', port: 5432 }] },
    tablespaceMap: [],
    maxLagBytes: '16777216',
    patienceMs: 60_000,
    warnings: [],
    ...changes,
  };
}

export function directory(path: string, changes: Partial<DirectoryFacts> = {}): DirectoryFacts {
  return {
    path,
    realPath: path,
    kind: 'postgres',
    isSymbolicLink: false,
    isMountPoint: false,
    hasRecoverySignal: false,
    hasStandbySignal: true,
    hasPostgresqlConf: true,
    tablespaces: [],
    freeBytes: 0n,
    fileSystem: '/srv',
    parentWritable: true,
    ...changes,
  };
}

export const GOOD_SLOT: ReplicationSlot = {
  name: 'replica_2',
  kind: 'physical',
  temporary: false,
  active: false,
  walStatus: 'reserved',
  restartLsn: lsnOf(1n),
};

/** Before anything was done: the standby runs. */
export function untouched(changes: Partial<ReseedProgress> = {}): ReseedProgress {
  return {
    destination: directory(DATA, { identity: '1:10', running: { evidence: 'postmaster.pid', pid: 7 } }),
    areaExists: false,
    passfileIsCurrent: false,
    hasStreamed: false,
    front: { nodes: [], bouncers: [] },
    ...changes,
  };
}
