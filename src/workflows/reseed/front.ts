import type { ClusterConfig } from '../../config/model.ts';
import { isGeneratedConfiguration } from '../../domain/pgbouncer/configuration.ts';
import { endpointsText, endpointValues } from '../../domain/endpoints/endpoints.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { planSetupEndpoints, type SetupEndpointsFacts } from '../setup-cluster/endpoints.ts';
import { type BouncerFacts, observeSetupPgBouncer, type PlacedNode, placedNodes, planSetupPgBouncer } from '../setup-cluster/pgbouncer.ts';
import type { NodeObservation } from '../observe-cluster.ts';

/** What stands in front of the servers, and what it is to say without the standby and with it. */
export interface FrontFacts {
  /** With the standby as one. */
  readonly nodes: readonly PlacedNode[];
  readonly bouncers: readonly BouncerFacts[];
  /** Absent where the configuration has none. */
  readonly endpoints?: { readonly without: SetupEndpointsFacts; readonly withIt: SetupEndpointsFacts };
}

/** Nothing is looked at where nothing stands there. Left out are PgBouncers on other hosts, and those whose configuration is not ours. */
export async function observeFront(
  cluster: ClusterConfig,
  node: string,
  observed: readonly NodeObservation[],
  ports: ReadPorts,
  context: OperationContext,
): Promise<FrontFacts> {
  const here = { ...cluster, pgbouncer: cluster.pgbouncer.filter(({ ssh }) => ssh === undefined) };
  if (here.pgbouncer.length === 0 && cluster.endpoints === undefined) return { nodes: [], bouncers: [] };
  const nodes = (await placedNodes(observed, ports)).map((one) => (one.name === node ? { ...one, role: 'standby' as const } : one));
  const found = here.pgbouncer.length === 0 ? [] : (await observeSetupPgBouncer(here, ports, context)).bouncers;
  const bouncers = found.filter(({ configuration }) => isGeneratedConfiguration(configuration));
  const { endpoints } = cluster;
  if (endpoints === undefined) return { nodes, bouncers };
  const factsOf = (among: readonly PlacedNode[]) => endpointsOf(endpoints, among, ports);
  return {
    nodes,
    bouncers,
    endpoints: { without: await factsOf(nodes.filter(({ name }) => name !== node)), withIt: await factsOf(nodes) },
  };
}

async function endpointsOf(
  { file, hook, database, user }: NonNullable<ClusterConfig['endpoints']>,
  nodes: readonly PlacedNode[],
  { setup }: ReadPorts,
): Promise<SetupEndpointsFacts> {
  const primary = nodes.find(({ role }) => role === 'primary');
  const standbys = nodes.filter(({ role }) => role === 'standby').map(({ address }) => address);
  const values = endpointValues({
    primary: primary?.address ?? { host: '', port: 0 },
    standbys,
    database,
    ...(user === undefined ? {} : { user }),
  });
  const text = endpointsText(values);
  const isCurrent = primary === undefined || (await setup.endpoints.isCurrent(file, text));
  return { file, ...(hook === undefined ? {} : { hook }), primary: primary?.name ?? '', values: { ...values }, text, isCurrent };
}

/** Those of the configuration that are left as they are. */
export function bouncersLeftAlone({ pgbouncer }: Pick<ClusterConfig, 'pgbouncer'>, { bouncers }: FrontFacts): readonly string[] {
  return pgbouncer.map(({ name }) => name).filter((name) => !bouncers.some(({ bouncer }) => bouncer.name === name));
}

/**
 * Takes the standby out: nobody is sent there while it is away. A PgBouncer is told each time, since a run that died may have written its
 * file and not said so. Pure.
 */
export function planFence(node: string, { nodes, bouncers, endpoints }: FrontFacts): readonly Step[] {
  const others = nodes.filter(({ name }) => name !== node);
  const plans = [planSetupPgBouncer({ nodes: others, bouncers: rewritten(bouncers) })];
  if (endpoints !== undefined) plans.push(planSetupEndpoints(endpoints.without));
  return named(plans, 'take-out', `${node} is away`);
}

/** Puts it back. `fence`: what is planned before. Pure. */
export function planReturn(node: string, { nodes, bouncers, endpoints }: FrontFacts, fence: readonly Step[]): readonly Step[] {
  const isPublished = fence.some(({ kind }) => kind === 'publish-endpoints');
  const published =
    endpoints === undefined ? [] : [planSetupEndpoints({ ...endpoints.withIt, isCurrent: !isPublished && endpoints.withIt.isCurrent })];
  return named([planSetupPgBouncer({ nodes, bouncers: rewritten(bouncers) }), ...published], 'put-back', `${node} streams again`);
}

function rewritten(bouncers: readonly BouncerFacts[]): readonly BouncerFacts[] {
  return bouncers.map((facts) => ({ ...facts, configuration: '' }));
}

/** Twice in a plan, and so by names of their own. */
function named(plans: readonly Plan[], prefix: string, reason: string): readonly Step[] {
  return plans.flatMap(({ steps }) => steps).map((step) => ({ ...step, id: `${prefix} ${step.id}`, reason }));
}
