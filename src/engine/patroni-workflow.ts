import type { ClusterConfig } from '../config/model.ts';
import type { ReadPorts } from '../ports/bundle.ts';
import { observeForPatroni, type PatroniFacts } from '../workflows/patroni/facts.ts';
import type { PatroniIntent } from '../workflows/patroni/intent.ts';
import { planByPatroni } from '../workflows/patroni/plan.ts';
import type { Workflow } from './execute-run.ts';

/** A switchover, failover or reseed that Patroni is asked for, as the engine runs it. */
export function patroniWorkflow(
  cluster: ClusterConfig,
  verb: PatroniIntent['verb'],
  ports: ReadPorts,
): Workflow<PatroniIntent, PatroniFacts> {
  return {
    title: `${verb} by Patroni`,
    claim: () => ({
      verb: verb === 'reseed' ? 'reseed' : 'failover',
      repositories: verb === 'reseed' ? [] : cluster.repositories.map(({ name }) => name),
    }),
    observe: (_intent, _run, context) => observeForPatroni(cluster, ports, context),
    plan: (intent, facts) => planByPatroni(intent, facts),
    outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded'),
  };
}
