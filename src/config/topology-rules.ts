import { entriesOf, field, itemsOf } from './tree.ts';
import type { ConfigPath, Problem } from './yaml-source.ts';

/** What makes nodes, PgBouncers and hosts of a cluster invalid across several keys. */
export function problemsOfTopology(cluster: unknown, path: ConfigPath): Problem[] {
  return [
    ...problemsOfSlots(cluster, path),
    ...itemsOf(cluster, 'nodes', path).flatMap(([node, at]) => problemsOfHost(node, at)),
    ...itemsOf(cluster, 'nodes', path).flatMap(([node, at]) => problemsOfService(node, at, field(cluster, 'patroni') !== undefined)),
    ...itemsOf(cluster, 'pgbouncer', path).flatMap(([bouncer, at]) => problemsOfPlaces(bouncer, at, nodeNames(cluster, path))),
  ];
}

/** `replica-1` and `replica_1` would share a slot, and then each keeps the other from streaming. */
function problemsOfSlots(cluster: unknown, path: ConfigPath): Problem[] {
  const seen = new Map<string, string>();
  return itemsOf(cluster, 'nodes', path).flatMap(([node, at]) => {
    const name = field(node, 'name');
    if (typeof name !== 'string') return [];
    const slot = name.replaceAll('-', '_');
    const other = seen.get(slot);
    seen.set(slot, name);
    if (other === undefined || other === name) return [];
    return [{ path: [...at, 'name'], message: `would have the replication slot of ${other}, ${slot}` }];
  });
}

/** What is to be done on another host needs a data directory there. */
function problemsOfHost(node: unknown, path: ConfigPath): Problem[] {
  if (field(node, 'ssh') === undefined) return [];
  const problems: Problem[] = [];
  if (field(node, 'dataDirectory') === undefined) problems.push({ path: [...path, 'dataDirectory'], message: 'is missing (ssh is given)' });
  if (field(node, 'url') === undefined) problems.push({ path: [...path, 'url'], message: 'is missing (ssh is given)' });
  return problems;
}

/** Two that start and stop one server would take turns. */
function problemsOfService(node: unknown, path: ConfigPath, isPatronis: boolean): Problem[] {
  const manager = field(field(node, 'service'), 'manager');
  const at = [...path, 'service', 'manager'];
  if (isPatronis && manager !== undefined && manager !== 'patroni')
    return [{ path: at, message: 'must be patroni, or service be left out: Patroni manages the cluster' }];
  return !isPatronis && manager === 'patroni' ? [{ path: at, message: 'needs patroni in the cluster' }] : [];
}

function problemsOfPlaces(bouncer: unknown, path: ConfigPath, nodes: ReadonlySet<string>): Problem[] {
  return entriesOf(field(bouncer, 'databases')).flatMap(([database, place]) => {
    const to = field(place, 'to');
    if (typeof to !== 'string' || to === 'primary' || to === 'standbys' || nodes.has(to)) return [];
    return [{ path: [...path, 'databases', database, 'to'], message: 'must be primary, standbys or the name of a node' }];
  });
}

function nodeNames(cluster: unknown, path: ConfigPath): ReadonlySet<string> {
  const names = itemsOf(cluster, 'nodes', path).map(([node]) => field(node, 'name'));
  return new Set(names.filter((name) => typeof name === 'string'));
}
