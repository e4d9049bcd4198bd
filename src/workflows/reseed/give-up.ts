import { SpokeError } from '../../errors.ts';
import type { Step } from '../../plan/step.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { ReseedData } from './facts.ts';
import { type FrontFacts, planReturn } from './front.ts';
import { intentAsItStands, type ReseedIntent, worksInPlace } from './intent.ts';
import { discardStep, putBackStep, startStep } from './steps.ts';

/** What of a standby is there when its reseed is given up. */
export type Left =
  /** As it was confirmed, in its place, or nothing where nothing was. */
  | 'old'
  /** Renamed away by a swap of which the second rename was not done. */
  | 'old away'
  /** Worked on: nothing that could be started. */
  | 'half'
  /** The new data is in its place. */
  | 'new'
  /** Something that this run did not put there. */
  | 'of others';

/** Pure. */
export function whatIsLeft(decided: ReseedIntent, { mark, destination, old, hasStreamed }: ReseedData): Left {
  const intent = intentAsItStands(decided, mark);
  const { destinationIdentity, method } = intent;
  const isConfirmed = destination.identity === (destinationIdentity ?? undefined);
  const isAway = destination.identity === undefined && old !== undefined && old.identity === destinationIdentity;
  if (hasStreamed) return 'new';
  if (isConfirmed || isAway) {
    const wasRewound = intent !== decided;
    const isWorkedOn = wasRewound || (worksInPlace(method) && mark !== undefined && mark.phase !== 'reserved');
    if (isWorkedOn) return 'half';
    return isAway ? 'old away' : 'old';
  }
  return mark !== undefined && destination.identity === mark.dataIdentity ? 'new' : 'of others';
}

/** Why a run may only go on; undefined where it may be given up. Pure. */
export function reasonAgainstGivingUp(intent: ReseedIntent, data: ReseedData, runId: string): SpokeError | undefined {
  const left = whatIsLeft(intent, data);
  if (left !== 'half' && left !== 'new') return undefined;
  const { node } = intent;
  const old = data.old?.path;
  const resume = `Finish it: spoke-backup runs resume ${runId}`;
  return left === 'half'
    ? new SpokeError('REFUSED_PRECONDITION', `the data of ${node} was begun to be replaced: nothing of it can be started`, {
        details: { run: runId },
        hint: `${resume}, or seed it by another method: spoke-backup reseed ${node} --method …`,
      })
    : new SpokeError(
        'REFUSED_PRECONDITION',
        `the new data of ${node} is in its place${old === undefined ? '' : `; its old data is in ${old}`}`,
        { details: { run: runId, oldDataDirectory: old ?? null }, hint: resume },
      );
}

/** What puts the old standby back: its data, its server where this run has stopped that, and what stands in front. Pure. */
export function planGivingUp(
  intent: ReseedIntent,
  data: ReseedData,
  { entries }: Pick<StoredRun, 'entries'>,
  front: FrontFacts | undefined,
): readonly Step[] {
  const left = whatIsLeft(intent, data);
  const standby = left === 'old away' ? data.old : data.destination;
  const wasStopped = entries.some((entry) => entry.kind === 'step-started' && entry.step === 'stop-standby');
  const isOurs = (left === 'old' || left === 'old away') && standby?.hasStandbySignal === true;
  const starts = isOurs && wasStopped && data.destination.running === undefined;
  const runs = isOurs && (starts || data.destination.running !== undefined);
  return [
    ...(left === 'old away' ? [putBackStep(intent)] : []),
    ...(data.areaExists ? [discardStep(intent)] : []),
    ...(starts ? [startStep(intent)] : []),
    ...(runs && front !== undefined ? planReturn(intent.node, front, []) : []),
  ];
}

/** Whether the slot that is there is of this run, or lost: it is begun only where there is no good one, and may have died before it said so. Pure. */
export function mayHaveMadeSlot({ entries }: Pick<StoredRun, 'entries'>): boolean {
  return entries.some((entry) => entry.kind === 'step-started' && entry.step === 'renew-slot');
}
