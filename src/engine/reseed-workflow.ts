import type { ClusterConfig } from '../config/model.ts';
import { SpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StoredRun } from '../ports/run-store.ts';
import { instanceOf } from '../workflows/hosts.ts';
import { observeReseed, type ReseedProgress } from '../workflows/reseed/facts.ts';
import type { ReseedIntent } from '../workflows/reseed/intent.ts';
import { planReseed } from '../workflows/reseed/plan.ts';
import { discardStep } from '../workflows/reseed/steps.ts';
import type { Workflow } from './execute-run.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';

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
    abandon: (intent, context) => giveUp(intent, ports, context),
    reasonAgainstAbandoning: (intent, run, context) => reasonAgainstAbandoning(intent, run, ports, context),
  };
}

async function giveUp(intent: ReseedIntent, ports: ReadPorts & WritePorts, context: OperationContext): Promise<void> {
  await runWhereItBelongs(discardStep(intent), withHosts(createStepHandlers(ports), ports), context);
}

/** Once the old data was worked on or renamed away, only going on leads to a standby. */
async function reasonAgainstAbandoning(
  intent: ReseedIntent,
  { header: { runId }, entries }: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SpokeError | undefined> {
  const steps = ['rewind-standby', 'swap-standby', ...(intent.method === 'delta' ? ['restore-standby'] : [])];
  const hasBegun = entries.some((entry) => entry.kind === 'step-started' && steps.includes(entry.step));
  if (!hasBegun) return undefined;
  const { identity } = await (await instanceOf(intent.node, ports, context)).inspectDirectory(intent.dataDirectory, context);
  const isAsItWas = intent.oldDataDirectory !== null && identity === intent.destinationIdentity;
  if (isAsItWas) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `${runId} has begun to replace the data of ${intent.node}`, {
    details: { run: runId, oldDataDirectory: intent.oldDataDirectory },
    hint: `Finish it: spoke-backup runs resume ${runId}`,
  });
}
