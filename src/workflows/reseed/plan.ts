import { isSlotOfUse } from '../../domain/topology/slot-state.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { ReseedProgress } from './facts.ts';
import { planFence, planReturn } from './front.ts';
import { intentAsItStands, type ReseedIntent, worksInPlace } from './intent.ts';
import {
  awaitStep,
  configureStep,
  passfileStep,
  releaseStep,
  reserveStep,
  retireStep,
  seedStep,
  slotStep,
  startStep,
  stopStep,
  swapStep,
} from './steps.ts';

/** How far a reseed has come. Derived from the real system alone, but for `streamed`, when its traces may be gone. */
type Stage = 'untouched' | 'reserved' | 'seeded' | 'configured' | 'placed';

/**
 * What remains to be done of a reseed. Pure. After each step, planning again gives the rest of the same plan: that is how an interrupted
 * run goes on. Whatever is removed is removed at the very end.
 */
export function planReseed(decided: ReseedIntent, facts: ReseedProgress, runId: string): Plan {
  const intent = intentAsItStands(decided, facts.mark);
  const stage = stageOf(intent, facts);
  const fence = stage === 'placed' ? [] : planFence(intent.node, facts.front);
  const steps = [
    ...fence,
    ...(stage === 'placed' ? slotSteps(intent, facts) : preparation(intent, facts, stage, runId)),
    ...(stage !== 'placed' || facts.destination.running === undefined ? [startStep(intent)] : []),
    awaitStep(intent),
    ...planReturn(intent.node, facts.front, fence),
    ...clearing(intent, facts, stage),
  ];
  return { steps, warnings: intent.warnings };
}

function stageOf({ method }: ReseedIntent, { mark, destination, hasStreamed }: ReseedProgress): Stage {
  if (mark === undefined) return hasStreamed ? 'placed' : 'untouched';
  switch (mark.phase) {
    case 'reserved':
    case 'seeding':
      return 'reserved';
    case 'seeded':
      return 'seeded';
    case 'configured':
      return worksInPlace(method) || destination.identity === mark.dataIdentity ? 'placed' : 'configured';
  }
}

/** Until the data is in its place. */
function preparation(intent: ReseedIntent, facts: ReseedProgress, stage: Exclude<Stage, 'placed'>, runId: string): readonly Step[] {
  const { passfile } = intent;
  return [
    ...(facts.destination.running === undefined ? [] : [stopStep(intent)]),
    ...(passfile === null || facts.passfileIsCurrent ? [] : [passfileStep(intent, passfile)]),
    ...slotSteps(intent, facts),
    ...(stage === 'untouched' ? [reserveStep(intent, runId)] : []),
    ...(stage === 'untouched' || stage === 'reserved' ? [seedStep(intent)] : []),
    ...(stage === 'configured' ? [] : [configureStep(intent)]),
    ...(worksInPlace(intent.method) ? [] : [swapStep(intent, { isAway: isAway(intent, facts) })]),
  ];
}

function isAway({ destinationIdentity }: ReseedIntent, { destination, old }: ReseedProgress): boolean {
  return destinationIdentity !== null && destination.identity === undefined && old?.identity === destinationIdentity;
}

/** Also when the data is in its place: the primary may have given the slot up while nobody read it. */
function slotSteps(intent: ReseedIntent, facts: ReseedProgress): readonly Step[] {
  const why = whySlot(intent, facts);
  return why === undefined ? [] : [slotStep(intent, why)];
}

/** Why the slot is made afresh; undefined where it is good as it is. */
function whySlot({ node }: ReseedIntent, { slot }: ReseedProgress): string | undefined {
  if (slot === undefined) return `without it the primary could remove WAL that ${node} still needs`;
  if (isSlotOfUse(slot)) return undefined;
  return `the one that is there has lost WAL (${slot.invalidationReason ?? slot.walStatus ?? 'it keeps none'}): nobody could go on by it`;
}

/** The place beside first, since it is empty; the old data last. */
function clearing(intent: ReseedIntent, facts: ReseedProgress, stage: Stage): readonly Step[] {
  // When the mark is gone only what is left there tells that another way than pg_rewind was gone.
  const { oldDataDirectory: path, keepOld } =
    stage === 'placed' && intent.instead !== null ? { ...intent.instead, keepOld: false } : intent;
  const isThere = stage === 'placed' ? facts.old !== undefined : true;
  return [
    ...(stage !== 'placed' || facts.areaExists ? [releaseStep(intent)] : []),
    ...(path !== null && !keepOld && isThere ? [retireStep(intent, path)] : []),
  ];
}
