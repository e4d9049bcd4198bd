import type { NodeConfig } from '../../config/model.ts';
import { leaderOf, memberOfNode, type PatroniSighting } from '../../domain/patroni/view.ts';
import { SpokeError } from '../../errors.ts';
import type { Step } from '../../plan/step.ts';
import { requireView } from '../patroni/guard.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import { PAUSE_PATRONI, pauseStep, resumeStep } from '../patroni/steps.ts';
import type { PatroniOfRestore, RestoreIntent } from './intent.ts';

/**
 * Why a node that Patroni looks after must not be restored in place. Only its leader may be: beside a leader a restored server would be a second
 * primary. And only while Patroni can be told to keep still, or it would make another one the leader meanwhile.
 */
export function refuseBesidePatroni(node: NodeConfig | undefined, sighting: PatroniSighting | undefined): SpokeError | undefined {
  if (node === undefined || sighting === undefined) return undefined;
  try {
    const view = requireView(sighting);
    const leader = leaderOf(view);
    if (leader === undefined || leader.name === memberOf(node, sighting)) return undefined;
    return new SpokeError(
      'REFUSED_PRECONDITION',
      `${leader.name} leads, says Patroni: ${node.name} restored in place would be a second primary`,
      {
        hint: `As a standby it comes back by: spoke-backup reseed ${node.name}`,
      },
    );
  } catch (thrown) {
    if (thrown instanceof SpokeError) return thrown;
    throw thrown;
  }
}

/** What a restore in place has to do with Patroni; null where that has none. */
export function patroniOfRestore(node: NodeConfig, sighting: PatroniSighting | undefined): PatroniOfRestore | null {
  if (sighting?.view === undefined) return null;
  return { member: memberOf(node, sighting), wasPaused: sighting.view.paused };
}

/** By its name, else by its address; a member that is away is called as the node is. */
function memberOf({ name, address }: NodeConfig, { view }: PatroniSighting): string {
  const found = view === undefined ? undefined : memberOfNode({ node: name, ...(address === undefined ? {} : { address }) }, view);
  return found?.name ?? name;
}

/** Before the server is stopped: Patroni would start it again, or have another one lead. */
export function pauseForRestore({ patroni }: RestoreIntent): readonly Step[] {
  if (patroni === undefined || patroni === null || patroni.wasPaused) return [];
  return [pauseStep(`it would start ${patroni.member} again, or make another member the leader, while its data is replaced`)];
}

/** Once the restored server is confirmed, and Patroni has it as its leader. */
export function resumeAfterRestore({ patroni }: RestoreIntent): readonly Step[] {
  if (patroni === undefined || patroni === null || patroni.wasPaused) return [];
  return [resumeStep(patroni.member)];
}

/** Where this run has paused it and its data was not replaced: Patroni starts what was stopped. */
export function resumeAfterGivingUp({ patroni }: RestoreIntent, { entries }: Pick<StoredRun, 'entries'>): readonly Step[] {
  const hasPaused = entries.some((entry) => entry.kind === 'step-started' && entry.step === PAUSE_PATRONI);
  return patroni === undefined || patroni === null || !hasPaused ? [] : [resumeStep(null)];
}
