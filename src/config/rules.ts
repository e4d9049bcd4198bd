import { problemsOfEngines } from './engine-rules.ts';
import { templateHasPassword } from './postgres-url.ts';
import { scheduleNameOf } from './schedule-name.ts';
import { parseSecretText } from './secrets.ts';
import { problemsOfTopology } from './topology-rules.ts';
import { entriesOf, field, itemsOf } from './tree.ts';
import { type ConfigPath, type Problem, quoteKey } from './yaml-source.ts';

/**
 * What makes a file invalid across several keys. Looks at the file as it is, not at what the schema made of it,
 * so that these problems are found together with all others.
 */
export function problemsAcrossKeys(tree: unknown): Problem[] {
  const ofNotices = problemsOfNotices(field(tree, 'notices'));
  const ofClusters = entriesOf(field(tree, 'clusters')).flatMap(([name, cluster]) => {
    const path: ConfigPath = ['clusters', name];
    return [
      ...duplicateNames(cluster, 'nodes', path),
      ...duplicateNames(cluster, 'repositories', path),
      ...itemsOf(cluster, 'nodes', path).flatMap(([node, at]) => problemsOfNode(node, at)),
      ...itemsOf(cluster, 'repositories', path).flatMap(([repository, at]) => problemsOfKeys(repository, at)),
      ...duplicateNames(cluster, 'pgbouncer', path),
      ...problemsOfTopology(cluster, path),
      ...problemsOfEngines(cluster, path),
      ...problemsOfMultiHost(cluster, path),
      ...problemsOfStreaming(cluster, path),
      ...problemsOfCompression(field(cluster, 'pgbackrest'), [...path, 'pgbackrest']),
      ...problemsOfObjectives(field(cluster, 'objectives'), [...path, 'objectives']),
      ...duplicateSchedules(cluster, path),
    ];
  });
  return [...ofNotices, ...ofClusters];
}

function problemsOfNotices(notices: unknown): Problem[] {
  const path: ConfigPath = ['notices'];
  return [
    ...duplicateNames(notices, 'channels', path),
    ...itemsOf(notices, 'channels', path).flatMap(([channel, at]) => {
      const [user, password] = [field(channel, 'user'), field(channel, 'password')];
      if (user !== undefined && password === undefined) return [{ path: [...at, 'password'], message: 'is missing (user is given)' }];
      if (user === undefined && password !== undefined) return [{ path: [...at, 'user'], message: 'is missing (password is given)' }];
      return [];
    }),
  ];
}

function duplicateNames(cluster: unknown, key: string, path: ConfigPath): Problem[] {
  const seen = new Set<string>();
  return itemsOf(cluster, key, path).flatMap(([item, at]) => {
    const name = field(item, 'name');
    if (typeof name !== 'string') return [];
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [{ path: [...at, 'name'], message: `is the name of another of the ${key} already` }];
  });
}

/** A run is known by the name of its schedule: there must be one of each. */
function duplicateSchedules(cluster: unknown, path: ConfigPath): Problem[] {
  const seen = new Set<string>();
  return itemsOf(cluster, 'schedules', path).flatMap(([item, at]) => {
    const name = typeof item === 'string' ? scheduleNameOf(item) : undefined;
    if (name === undefined || !seen.has(name)) {
      if (name !== undefined) seen.add(name);
      return [];
    }
    return [{ path: at, message: `is a second schedule of the name ${quoteKey(name)}` }];
  });
}

function problemsOfObjectives(objectives: unknown, path: ConfigPath): Problem[] {
  return ['rpo', 'rto']
    .filter((key) => field(objectives, key) !== undefined && field(objectives, `${key}Seconds`) !== undefined)
    .map((key) => ({ path: [...path, `${key}Seconds`], message: `give either ${key} or ${key}Seconds, not both` }));
}

function problemsOfNode(node: unknown, path: ConfigPath): Problem[] {
  const sources = ['passwordFile', 'passwordCommand'].filter((key) => field(node, key) !== undefined);
  const [first, second] = sources;
  if (first === undefined) return [];
  if (second !== undefined) return [{ path: [...path, second], message: `give either ${first} or ${second}, not both` }];
  const url = field(node, 'url');
  if (url === undefined) return [{ path: [...path, first], message: 'has no use without url' }];
  const template = typeof url === 'string' ? parseSecretText(url) : undefined;
  if (template === undefined || !templateHasPassword(template)) return [];
  return [{ path: [...path, first], message: 'has no use: url has a password already' }];
}

/** Which credentials a repository needs, by its keyType. */
function problemsOfKeys(repository: unknown, path: ConfigPath): Problem[] {
  if (field(repository, 'kind') !== 's3') return [];
  const keyType = field(repository, 'keyType') ?? 'shared';
  if (keyType === 'shared') {
    const missing = ['accessKey', 'secretKey'].filter((key) => field(repository, key) === undefined);
    return missing.map((key) => ({ path: [...path, key], message: 'is missing (keyType is shared)' }));
  }
  if (keyType !== 'auto' && keyType !== 'web-id') return [];
  const superfluous = ['accessKey', 'secretKey', 'sessionToken'].filter((key) => field(repository, key) !== undefined);
  return superfluous.map((key) => ({ path: [...path, key], message: `has no use with keyType ${keyType}` }));
}

/** A directory of one machine keeps no lease of several. */
function problemsOfMultiHost(cluster: unknown, path: ConfigPath): Problem[] {
  const wanted = field(field(cluster, 'multiHost'), 'repository');
  if (typeof wanted !== 'string') return [];
  const at = [...path, 'multiHost', 'repository'];
  const found = itemsOf(cluster, 'repositories', path).find(([repository]) => field(repository, 'name') === wanted);
  if (found === undefined) return [{ path: at, message: 'is the name of no repository of the cluster' }];
  return field(found[0], 'kind') === 'local' ? [{ path: at, message: 'must be a repository of kind s3: a directory is on one host' }] : [];
}

/** pgBackRest's passphrase is pgBackRest's: what is streamed beside its repository would lie there in the clear. */
function problemsOfStreaming(cluster: unknown, path: ConfigPath): Problem[] {
  if (field(field(cluster, 'wal'), 'streaming') !== true || field(cluster, 'encryption') !== undefined) return [];
  const isEncrypted = itemsOf(cluster, 'repositories', path).some(
    ([repository]) => field(repository, 'encryptionPassphrase') !== undefined,
  );
  if (!isEncrypted) return [];
  const message = 'is missing: streamed WAL would lie unencrypted in a repository that has an encryptionPassphrase';
  return [{ path: [...path, 'encryption'], message }];
}

/** pgBackRest's documentation of compress-level. */
const LEVELS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  bz2: [1, 9],
  gz: [0, 9],
  lz4: [-5, 12],
  zst: [-7, 22],
};

function problemsOfCompression(pgbackrest: unknown, path: ConfigPath): Problem[] {
  const level = field(pgbackrest, 'compressLevel');
  if (typeof level !== 'number') return [];
  const type = field(pgbackrest, 'compressType') ?? 'zst';
  const at = [...path, 'compressLevel'];
  if (type === 'none') return [{ path: at, message: 'has no use with compressType none' }];
  const [least, most] = (typeof type === 'string' ? LEVELS[type] : undefined) ?? [-Infinity, Infinity];
  return level >= least && level <= most ? [] : [{ path: at, message: `must be ${least} to ${most} for ${String(type)}` }];
}
