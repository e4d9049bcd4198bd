import { type ConfigPath, type Problem } from './yaml-source.ts';
import { field, itemsOf } from './tree.ts';

/** What a cluster's engines make invalid, seen in the file as it is. */
export function problemsOfEngines(cluster: unknown, path: ConfigPath): Problem[] {
  const repositories = itemsOf(cluster, 'repositories', path);
  const native = repositories.filter(([repository]) => engineOf(repository, cluster) === 'native');
  return [
    ...native.flatMap(([repository, at]) => problemsOfPassphrase(repository, at)),
    ...problemsOfAck(cluster, path, native),
    ...problemsOfLevel(field(cluster, 'native'), [...path, 'native']),
  ];
}

function engineOf(repository: unknown, cluster: unknown): unknown {
  return field(repository, 'engine') ?? field(cluster, 'engine') ?? 'pgbackrest';
}

/** Ours is encrypted for keys that this host need not have. */
function problemsOfPassphrase(repository: unknown, path: ConfigPath): Problem[] {
  if (field(repository, 'encryptionPassphrase') === undefined) return [];
  const message = "is for pgBackRest's repositories: a native one is encrypted with encryption.recipients of the cluster";
  return [{ path: [...path, 'encryptionPassphrase'], message }];
}

function problemsOfAck(cluster: unknown, path: ConfigPath, native: readonly [repository: unknown, path: ConfigPath][]): Problem[] {
  if (field(field(cluster, 'archiving'), 'ack') !== 'local') return [];
  if (native.some(([repository]) => field(repository, 'kind') === 'local')) return [];
  const message = 'local needs a native repository of kind local: without one nothing on this machine keeps the WAL';
  return [{ path: [...path, 'archiving', 'ack'], message }];
}

/** lz4(1): from 1 (fast) to 12. */
const MOST_LZ4 = 12;

function problemsOfLevel(native: unknown, path: ConfigPath): Problem[] {
  const level = field(native, 'compressLevel');
  if (field(native, 'compressType') !== 'lz4' || typeof level !== 'number' || level <= MOST_LZ4) return [];
  return [{ path: [...path, 'compressLevel'], message: `must be 1 to ${MOST_LZ4} for lz4` }];
}
