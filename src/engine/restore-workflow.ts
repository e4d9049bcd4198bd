import { SpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { Step } from '../plan/step.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StoredRun } from '../ports/run-store.ts';
import { instanceOf } from '../workflows/hosts.ts';
import { CANDIDATE_FAILED, currentCandidate, observeRestore, type RestoreFacts } from '../workflows/restore/facts.ts';
import type { PinnedCandidate, RestoreIntent } from '../workflows/restore/intent.ts';
import { planRestore } from '../workflows/restore/plan.ts';
import { resumeAfterGivingUp } from '../workflows/restore/patroni.ts';
import { discardAreaStep, endIsolatedStep } from '../workflows/restore/steps.ts';
import { hasBegunSwap } from '../workflows/runs/judge.ts';
import type { Workflow } from './execute-run.ts';
import { wasMetInReplay } from './handlers/prove-target.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';

const RESUME = 'spoke-backup runs resume';

/** Restoring, as the engine runs it. */
export function restoreWorkflow(ports: ReadPorts & WritePorts): Workflow<RestoreIntent, RestoreFacts> {
  return {
    title: 'restore',
    claim: ({ inPlaceNode, candidates, dataDirectory }) => ({
      verb: inPlaceNode === null ? 'restore-beside' : 'restore-in-place',
      repositories: [...new Set(candidates.map(({ repository }) => repository))],
      dataDirectory,
    }),
    observe: (intent, run, context) => observeRestore(intent, run, ports, context),
    plan: planRestore,
    otherWay: (intent, facts, error) => otherCandidate(intent, facts, error),
    cleanUp: (intent, error, context) => cleanUpRestore(intent, error, ports, context),
    reasonAgainstAbandoning: (intent, run, context) => reasonAgainstAbandoning(intent, run, ports, context),
    async abandon(intent, run, context) {
      await runOnItsHost(discardAreaStep(intent), ports, context);
      for (const step of resumeAfterGivingUp(intent, run)) await runOnItsHost(step, ports, context);
    },
  };
}

/** Gives up the candidate that failed, with those that would fail for the same reason, where another one remains. */
export function otherCandidate(intent: RestoreIntent, facts: RestoreFacts, error: SpokeError) {
  if (error.retry !== 'alternative') return undefined;
  const current = currentCandidate(intent, facts);
  const sameFate = (candidate: PinnedCandidate) =>
    candidate === current || (isAboutTheRepository(error, intent.target) && candidate.repository === current.repository);
  const untried = intent.candidates.filter(
    (candidate) => !facts.failed.some((failed) => failed.repository === candidate.repository && failed.label === candidate.label),
  );
  if (untried.every(sameFate)) return undefined;
  return untried
    .filter(sameFate)
    .map(({ repository, label }) => ({ message: CANDIDATE_FAILED, detail: { repository, label, code: error.code } }));
}

/** An older backup in the same repository meets the same network, and the same missing WAL where its way leads past that. */
function isAboutTheRepository(error: SpokeError, target: RestoreIntent['target']): boolean {
  if (wasMetInReplay(error) && mayEndEarlierFromOlder(target)) return false;
  return ['REPOSITORY_UNAVAILABLE', 'REPOSITORY_DENIED', 'TARGET_AFTER_WINDOW', 'TARGET_IN_GAP'].includes(error.code);
}

/** From an older backup, replay may be over before it comes to the WAL that a newer one lacked: nobody knew where the target lies, or it is the end of the backup itself. */
function mayEndEarlierFromOlder({ kind }: RestoreIntent['target']): boolean {
  return kind === 'xid' || kind === 'name' || kind === 'immediate';
}

/** Ends the isolated server in any case; removes the place beside where no resume could ever use it. */
async function cleanUpRestore(
  intent: RestoreIntent,
  error: SpokeError,
  ports: ReadPorts & WritePorts,
  context: OperationContext,
): Promise<void> {
  await runOnItsHost(isHopeless(error) ? discardAreaStep(intent) : endIsolatedStep(intent), ports, context);
}

async function runOnItsHost(step: Step, ports: ReadPorts & WritePorts, context: OperationContext): Promise<void> {
  await runWhereItBelongs(step, withHosts(createStepHandlers(ports), ports), context);
}

/** Once a data directory has been renamed, only going on leads back to one that everybody knows the name of. */
async function reasonAgainstAbandoning(
  intent: RestoreIntent,
  run: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SpokeError | undefined> {
  if (!hasBegunSwap(run)) return undefined;
  const instance = await instanceOf(intent.inPlaceNode, ports, context);
  const { identity } = await instance.inspectDirectory(intent.dataDirectory, context);
  if ((identity ?? null) === intent.destinationIdentity) return undefined;
  const { runId } = run.header;
  return new SpokeError('REFUSED_PRECONDITION', `${runId} has begun to put the restored data in the place of ${intent.dataDirectory}`, {
    details: { run: runId, oldDataDirectory: intent.oldDataDirectory },
    hint: `Finish it: ${RESUME} ${runId}`,
  });
}

function isHopeless({ code }: SpokeError): boolean {
  return code.startsWith('TARGET_') || code === 'BACKUP_DAMAGED' || code === 'VERIFICATION_FAILED' || code === 'NO_BACKUP';
}
