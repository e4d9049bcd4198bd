import type { LoadedConfiguration, OverridableKey } from './load.ts';
import type { ClusterConfig } from './model.ts';
import { SecretReference, SecretText } from './secrets.ts';
import type { ConfigPath, Position } from './yaml-source.ts';
import { printPath } from './yaml-source.ts';

/** One effective setting and where it comes from. */
export interface OriginRow {
  /** `clusters.main.repositories[0].retention.days` */
  readonly key: string;
  /** Of a secret: its reference. */
  readonly value: string | number | boolean;
  /** `default`, `/etc/spoke-backup/config.yaml:14:7`, `environment SPOKE_BACKUP_TIMEZONE` or `flag --timezone`. */
  readonly origin: string;
}

/** Every effective value, in the order of the model. Holds no secret. */
export function describeOrigins(loaded: LoadedConfiguration): OriginRow[] {
  const { clusters, path: _path, ...settings } = loaded.configuration;
  const rows = rowsOf(settings, [], loaded);
  for (const cluster of clusters.values()) rows.push(...rowsOf(settingsOf(cluster), ['clusters', cluster.name], loaded));
  return rows;
}

/** What can be set: the name is the key of the cluster, the index is the place of the repository. */
function settingsOf(cluster: ClusterConfig): Readonly<Record<string, unknown>> {
  const { name: _name, ...settings } = cluster;
  const repositories = cluster.repositories.map(({ index: _index, ...repository }) => repository);
  return { ...settings, repositories };
}

function rowsOf(value: unknown, path: ConfigPath, loaded: LoadedConfiguration): OriginRow[] {
  if (isLeaf(value)) return [{ key: printPath(path), value: printable(value), origin: originOf(path, loaded) }];
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item: unknown, index) => [index, item])
    : Object.entries(value as object);
  if (entries.length === 0) return [{ key: printPath(path), value: 'none', origin: originOf(path, loaded) }];
  return entries.flatMap(([key, child]) => rowsOf(child, [...path, key], loaded));
}

type Leaf = string | number | boolean | SecretReference | SecretText;

function isLeaf(value: unknown): value is Leaf {
  return typeof value !== 'object' || value instanceof SecretReference || value instanceof SecretText;
}

function printable(value: Leaf): string | number | boolean {
  return typeof value === 'object' ? value.describe() : value;
}

function originOf(path: ConfigPath, loaded: LoadedConfiguration): string {
  const override = path.length === 1 ? loaded.overrides[path[0] as OverridableKey] : undefined;
  if (override !== undefined) return override.origin;
  const position = positionOf(path, loaded);
  return position === undefined ? 'default' : `${loaded.configuration.path}:${position.line}:${position.column}`;
}

/** Keys of the model that have other names in the file. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = {
  password: ['passwordFile', 'passwordCommand'],
  rpoSeconds: ['rpo'],
  rtoSeconds: ['rto'],
};

function positionOf(path: ConfigPath, { source }: LoadedConfiguration): Position | undefined {
  const written = WRITTEN_AS[String(path.at(-1))] ?? [];
  const around = path.slice(0, -1);
  return [path, ...written.map((key) => [...around, key])]
    .map((candidate) => source.locate(candidate))
    .find((found) => found !== undefined);
}
