import type { RecoveryTarget } from '../../../src/domain/recovery/target.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { observeForRestore } from '../../../src/workflows/restore/observe.ts';
import type { RestoreRequest, RestoreWorld } from '../../../src/workflows/restore/request.ts';
import { buildCluster, type FakeCluster, type FakeClusterSpec } from '../../fakes/cluster.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

/** A restore that nothing speaks against, to be spoilt by a test. */
export interface Sound extends FakeCluster {
  readonly request: RestoreRequest;
  readonly observed: RestoreWorld;
}

export const BESIDE = '/srv/restored';

export function requestOf({ cluster }: FakeCluster, changes: Partial<RestoreRequest> = {}): RestoreRequest {
  const target: RecoveryTarget = { kind: 'latest' };
  return {
    cluster,
    target,
    timeline: 'latest',
    destination: { kind: 'directory', path: BESIDE, port: 5433 },
    targetAction: 'promote',
    tablespaceMap: new Map(),
    start: true,
    discardOld: false,
    suffix: 'k3f9',
    ...changes,
  };
}

export async function observe(built: FakeCluster, request: RestoreRequest): Promise<RestoreWorld> {
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  return observeForRestore(request, ports, { signal: new AbortController().signal });
}

export async function sound(changes: Partial<RestoreRequest> = {}, spec: Partial<FakeClusterSpec> = {}): Promise<Sound> {
  const built = buildCluster(spec);
  const request = requestOf(built, changes);
  return { ...built, request, observed: await observe(built, request) };
}

export function withDestination(world: RestoreWorld, changes: Partial<DirectoryFacts>): RestoreWorld {
  return { ...world, destination: { ...world.destination, ...changes } };
}

/** The refusal of a decision. Throws where there is none. */
export function refusalOf(request: RestoreRequest, world: RestoreWorld): SpokeError {
  try {
    decideRestore(request, world);
  } catch (thrown) {
    if (thrown instanceof SpokeError) return thrown;
    throw thrown;
  }
  throw new Error('it was not refused');
}
