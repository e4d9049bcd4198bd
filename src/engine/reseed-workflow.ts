import type { ClusterConfig } from '../config/model.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import { observeReseed, type ReseedProgress } from '../workflows/reseed/facts.ts';
import type { ReseedIntent } from '../workflows/reseed/intent.ts';
import { planReseed } from '../workflows/reseed/plan.ts';
import type { Workflow } from './execute-run.ts';
import { giveUpReseed, reasonAgainstGivingUpReseed } from './reseed-give-up.ts';

/** Bringing a standby back, as the engine runs it. */
export function reseedWorkflow(cluster: ClusterConfig, ports: ReadPorts & WritePorts): Workflow<ReseedIntent, ReseedProgress> {
  return {
    title: 'reseed',
    claim: ({ backup, restoreFrom, instead, dataDirectory }) => ({
      verb: 'reseed',
      repositories: [...new Set([backup?.repository, restoreFrom, instead?.backup?.repository].filter((one) => typeof one === 'string'))],
      dataDirectory,
    }),
    observe: (intent, run, context) => observeReseed(cluster, intent, run, ports, context),
    plan: planReseed,
    abandon: (intent, run, context) => giveUpReseed(cluster, intent, run, ports, context),
    reasonAgainstAbandoning: (intent, run, context) => reasonAgainstGivingUpReseed(intent, run, ports, context),
  };
}
