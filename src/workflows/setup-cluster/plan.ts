import type { ClusterConfig } from '../../config/model.ts';
import type { Plan } from '../../plan/step.ts';
import type { BackupEnginePreview } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { observeSetupEndpoints, planSetupEndpoints, type SetupEndpointsFacts } from './endpoints.ts';
import type { SetupIntent } from './intent.ts';
import { observeSetupPgBouncer, planSetupPgBouncer, type SetupPgBouncerFacts } from './pgbouncer.ts';
import { observeSetupPrimary, planSetupPrimary, type SetupPrimaryFacts } from './primary.ts';
import { observeSetupReplica, planSetupReplica, type SetupReplicaFacts } from './replica.ts';

export type SetupFacts =
  | { readonly what: 'primary'; readonly facts: SetupPrimaryFacts }
  | { readonly what: 'replica'; readonly facts: SetupReplicaFacts }
  | { readonly what: 'pgbouncer'; readonly facts: SetupPgBouncerFacts }
  | { readonly what: 'endpoints'; readonly facts: SetupEndpointsFacts };

export async function observeSetup(
  cluster: ClusterConfig,
  intent: SetupIntent,
  engine: BackupEnginePreview,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupFacts> {
  switch (intent.what) {
    case 'primary': {
      const isCurrent = await ports.catalog.isConfigurationCurrent();
      return { what: 'primary', facts: await observeSetupPrimary(cluster, engine, isCurrent, ports, context) };
    }
    case 'replica':
      return { what: 'replica', facts: await observeSetupReplica(cluster, intent.node, engine, ports, context) };
    case 'pgbouncer':
      return { what: 'pgbouncer', facts: await observeSetupPgBouncer(cluster, ports, context) };
    case 'endpoints':
      return { what: 'endpoints', facts: await observeSetupEndpoints(cluster, ports, context) };
  }
}

/** What is not yet as it should be. Pure. */
export function planSetup(intent: SetupIntent, { what, facts }: SetupFacts): Plan {
  const restartAllowed = 'restartAllowed' in intent && intent.restartAllowed;
  switch (what) {
    case 'primary':
      return planSetupPrimary(facts, restartAllowed);
    case 'replica':
      return planSetupReplica(facts, restartAllowed);
    case 'pgbouncer':
      return planSetupPgBouncer(facts);
    case 'endpoints':
      return planSetupEndpoints(facts);
  }
}
