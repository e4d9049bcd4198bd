import type { ClusterConfig } from '../../config/model.ts';
import { isGeneratedConfiguration } from '../../domain/pgbouncer/configuration.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { SpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { BouncerToChange, ChangePrimaryFacts } from '../change-primary/facts.ts';
import { factsFor } from '../change-primary/observe.ts';
import { instanceOf } from '../hosts.ts';
import { observeTopology } from '../observe-topology.ts';
import { observeReseed, type ReseedProgress } from '../reseed/facts.ts';
import type { ReseedIntent } from '../reseed/intent.ts';
import { observeRestore, type RestoreFacts } from '../restore/facts.ts';
import type { RestoreIntent } from '../restore/intent.ts';
import { type ClusterStages, runOfStandby, stagesOf } from './stages.ts';

/** Where the restore of a cluster stands. */
export interface RestoreClusterFacts {
  readonly restore: RestoreFacts;
  readonly stages: ClusterStages;
  /** What stands in front, and what it is to say while there is no standby; absent once the primary is back. */
  readonly front?: ChangePrimaryFacts;
  /** By node: the data directories of the standbys; empty once the primary is back. */
  readonly standbys: ReadonlyMap<string, DirectoryFacts>;
  /** Those that are being seeded. */
  readonly seeding: readonly { readonly intent: ReseedIntent; readonly progress: ReseedProgress }[];
}

/** Looks at what the stage is about that the journal shows. */
export async function observeRestoreCluster(
  cluster: ClusterConfig,
  intent: RestoreIntent,
  run: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<RestoreClusterFacts> {
  const stages = stagesOf(run);
  const restore = await observeRestore(intent, run, ports, context);
  if (!stages.primaryIsBack) {
    const standbys = new Map<string, DirectoryFacts>();
    for (const { server } of intent.standbys ?? [])
      standbys.set(server.node, await (await instanceOf(server.node, ports, context)).inspectDirectory(server.dataDirectory, context));
    return { restore, stages, standbys, front: await observeFrontAlone(cluster, intent, ports, context), seeding: [] };
  }
  const seeding = [];
  for (const { node, reseed } of stages.decided)
    if (reseed !== null && !stages.back.includes(node))
      seeding.push({
        intent: reseed,
        progress: await observeReseed(withoutThoseAway(cluster, intent, stages, node), reseed, runOfStandby(node, run), ports, context),
      });
  return { restore, stages, standbys: new Map(), seeding };
}

/** Standbys whose turn has not come have what never was: where somebody has started one, nobody is sent to it all the same. */
function withoutThoseAway(
  cluster: ClusterConfig,
  { standbys = [] }: RestoreIntent,
  { back }: ClusterStages,
  seeded: string,
): ClusterConfig {
  const away = standbys.map(({ server }) => server.node).filter((node) => node !== seeded && !back.includes(node));
  return { ...cluster, nodes: cluster.nodes.filter(({ name }) => !away.includes(name)) };
}

/** As it is to be when the restored primary is all that there is. */
export async function observeFrontAlone(
  cluster: ClusterConfig,
  { inPlaceNode, systemIdentifier }: RestoreIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ChangePrimaryFacts> {
  if (inPlaceNode === null) throw new SpokeError('INTERNAL', 'a cluster is restored in place');
  const { topology } = await observeTopology(cluster, ports, context, BigInt(systemIdentifier) as SystemIdentifier);
  const nodes = topology.nodes.filter(({ node }) => node === inPlaceNode);
  const alone = { nodes: [], topology: { ...topology, nodes, standbys: [] } };
  const facts = await factsFor(cluster, { to: inPlaceNode }, alone, ports, context);
  return { ...facts, bouncers: facts.bouncers.map(asItIsUnlessOurs) };
}

/** What somebody else has written stays. */
function asItIsUnlessOurs(bouncer: BouncerToChange): BouncerToChange {
  const { present, isUnread = false } = bouncer;
  return isUnread || isGeneratedConfiguration(present) ? bouncer : { ...bouncer, wanted: { without: present, with: present } };
}
