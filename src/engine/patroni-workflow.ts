import type { ClusterConfig } from '../config/model.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import { observeForPatroni, type PatroniFacts } from '../workflows/patroni/facts.ts';
import type { PatroniIntent } from '../workflows/patroni/intent.ts';
import { planByPatroni } from '../workflows/patroni/plan.ts';
import type { Workflow } from './execute-run.ts';
import { letClientsGoOn } from './let-clients-go-on.ts';

/** A switchover, failover or reseed that Patroni is asked for, as the engine runs it. */
export function patroniWorkflow(
  cluster: ClusterConfig,
  verb: PatroniIntent['verb'],
  ports: ReadPorts & WritePorts,
): Workflow<PatroniIntent, PatroniFacts> {
  return {
    title: `${verb} by Patroni`,
    claim: () => ({
      verb: verb === 'reseed' ? 'reseed' : 'failover',
      repositories: verb === 'reseed' ? [] : cluster.repositories.map(({ name }) => name),
    }),
    observe: (intent, _run, context) => observeForPatroni(cluster, ports, context, rolesOf(intent)),
    plan: (intent, facts) => planByPatroni(intent, facts),
    outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded'),
    async cleanUp(intent, error, context) {
      // Whoever has the lease now decides what becomes of it.
      if (intent.verb !== 'reseed' && error.code !== 'LEASE_LOST') await letClientsGoOn(cluster, intent, ports, context);
    },
    async abandon(intent, _run, context) {
      if (intent.verb !== 'reseed') await letClientsGoOn(cluster, intent, ports, context);
    },
  };
}

function rolesOf(intent: PatroniIntent) {
  if (intent.verb === 'reseed') return undefined;
  const { node, fromNode, verb } = intent;
  return { to: node, ...(verb === 'switchover' && fromNode !== null ? { from: fromNode } : {}) };
}
