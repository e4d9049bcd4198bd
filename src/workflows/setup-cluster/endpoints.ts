import type { ClusterConfig } from '../../config/model.ts';
import { endpointsText, endpointValues } from '../../domain/endpoints/endpoints.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { observeServers, onlyPrimary } from '../observe-cluster.ts';
import { placedNodes } from './pgbouncer.ts';
import { setupStep } from './step.ts';

export interface SetupEndpointsFacts {
  readonly file: string;
  readonly hook?: readonly string[];
  readonly primary: string;
  readonly values: Readonly<Record<string, string>>;
  readonly text: string;
  readonly isCurrent: boolean;
}

export async function observeSetupEndpoints(
  cluster: ClusterConfig,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupEndpointsFacts> {
  const { endpoints } = cluster;
  if (endpoints === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `the configuration of ${cluster.name} has no endpoints`, {
      hint: 'Add to the configuration: endpoints: {file: …} (docs/setup.md)',
    });
  const observed = await observeServers(cluster, ports, context);
  if (onlyPrimary(observed) === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers, or more than one does');
  const nodes = await placedNodes(observed, ports);
  const [primary] = nodes.filter(({ role }) => role === 'primary');
  if (primary === undefined) throw new SpokeError('INTERNAL', 'the primary has no place');
  const { file, database, user, hook } = endpoints;
  const standbys = nodes.filter(({ role }) => role === 'standby').map(({ address }) => address);
  const values = endpointValues({ primary: primary.address, standbys, database, ...(user === undefined ? {} : { user }) });
  const text = endpointsText(values);
  const isCurrent = await ports.setup.endpoints.isCurrent(file, text);
  return { file, ...(hook === undefined ? {} : { hook }), primary: primary.name, values: { ...values }, text, isCurrent };
}

/** Pure. */
export function planSetupEndpoints({ file, hook, primary, values, text, isCurrent }: SetupEndpointsFacts): Plan {
  if (isCurrent) return { steps: [], warnings: [] };
  const step = setupStep(
    {
      id: 'publish-endpoints',
      title: `Write ${file}${hook === undefined ? '' : ` and run ${hook[0] ?? ''}`}`,
      reason: `applications find the primary (${primary}) and the standbys there`,
      probe: 'the file has this content, and the hook was told of it',
      timeoutMs: 2 * 60_000,
    },
    { kind: 'publish-endpoints', primary, file, text, values, hook },
  );
  return { steps: [step], warnings: [] };
}
