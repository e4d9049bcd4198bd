import { SpokeError } from '../../errors.ts';
import type { BackupDetail } from '../../domain/catalog/base-backup.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { type NodeObservation, onlyPrimary } from '../observe-cluster.ts';
import { observePatroni } from '../patroni/observe.ts';
import { instanceOf } from '../hosts.ts';
import { observeReach } from './reach.ts';
import type { RestoreRequest, RestoreWorld } from './request.ts';
import { outdatedDirectories } from './outdated.ts';
import { newTablespaceLocation } from './tablespaces.ts';

/** Looks at everything that the decision needs: repositories, nodes, the destination, tools. Changes nothing. */
export async function observeForRestore(request: RestoreRequest, ports: ReadPorts, context: OperationContext): Promise<RestoreWorld> {
  const reach = await observeReach(request, (nodes) => destinationNodeOf(request, nodes), ports, context);
  const { destinationNode, choice, ...seen } = reach;
  const patroni = destinationNode === undefined ? undefined : await observePatroni(request.cluster, ports, context);
  const first = choice.kind === 'chosen' ? choice.candidates[0] : undefined;
  const destinationPath = destinationOf(request, destinationNode);
  const there = { ...ports, instance: await instanceOf(destinationNode?.node.name, ports, context) };
  const detail = first === undefined ? undefined : await ports.catalog.readBackupDetail(first.repository, first.label, context);
  const installation = first === undefined ? undefined : await there.instance.findInstallation(first.backup.postgresMajor, context);
  const osUser = await there.instance.findUser(request.cluster.osUser ?? 'postgres');
  return {
    ...seen,
    destinationPath,
    ...(destinationNode === undefined ? {} : { destinationNode: destinationNode.node.name }),
    destination: await there.instance.inspectDirectory(destinationPath, context),
    choice,
    ...(detail === undefined ? {} : { detail }),
    ...(installation === undefined ? {} : { installation }),
    tablespaceDirectories: await inspectTablespaces(request, detail, there, context),
    currentUser: there.instance.currentUser(),
    ...(osUser === undefined ? {} : { osUser }),
    freePort: await there.instance.findFreePort(),
    ...(patroni === undefined ? {} : { patroni }),
    outdated: await outdatedDirectories(destinationPath, request.cluster.restore.keepOldDays, seen.now, there, context),
  };
}

/** The node that is restored in place; undefined where none is. Throws USAGE where `--in-place` leaves open which node is meant. */
function destinationNodeOf(request: RestoreRequest, nodes: readonly NodeObservation[]): NodeObservation | undefined {
  if (request.destination.kind === 'directory') return undefined;
  const wanted = request.destination.node;
  const candidates = wanted === undefined ? inPlaceCandidates(nodes) : nodes.filter((node) => node.node.name === wanted);
  const [only] = candidates;
  if (only === undefined || candidates.length > 1)
    throw new SpokeError('USAGE', `--in-place: which node is meant? Known are: ${nodes.map((node) => node.node.name).join(', ')}`, {
      hint: 'Name it: --in-place <node>',
    });
  return only;
}

/** Where the restore goes. Throws USAGE where the configuration does not say it. */
function destinationOf({ destination }: RestoreRequest, inPlace: NodeObservation | undefined): string {
  if (destination.kind === 'directory') return destination.path;
  if (inPlace?.node.dataDirectory !== undefined) return inPlace.node.dataDirectory;
  throw new SpokeError('USAGE', `--in-place: the configuration of node "${String(inPlace?.node.name)}" names no dataDirectory`, {
    hint: 'Add dataDirectory to that node in the configuration.',
  });
}

/** The primary where one answers; else the node whose data directory was no standby. */
function inPlaceCandidates(nodes: readonly NodeObservation[]): readonly NodeObservation[] {
  const primary = onlyPrimary(nodes);
  if (primary !== undefined) return [primary];
  const local = nodes.filter((node) => node.directory !== undefined);
  const formerPrimaries = local.filter((node) => node.directory?.kind === 'postgres' && !node.directory.hasStandbySignal);
  return formerPrimaries.length === 1 ? formerPrimaries : local.length === 1 ? local : [];
}

async function inspectTablespaces(
  request: RestoreRequest,
  detail: BackupDetail | undefined,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReadonlyMap<string, DirectoryFacts>> {
  const found = new Map<string, DirectoryFacts>();
  for (const { location } of detail?.tablespaces ?? []) {
    for (const path of [location, newTablespaceLocation(request, location)])
      if (path !== undefined) found.set(path, await ports.instance.inspectDirectory(path, context));
  }
  return found;
}
