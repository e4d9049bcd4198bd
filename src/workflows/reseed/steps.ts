import type { ConfirmedStandby, ReseedStep } from '../../plan/reseed-steps.ts';
import type { Step, StepBase } from '../../plan/step.ts';
import { type ReseedIntent, worksInPlace } from './intent.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What people read of a step, and what is not as it mostly is. */
type Words = Pick<StepBase, 'title' | 'reason' | 'probe'> & Partial<StepBase>;

function onStandby({ node }: ReseedIntent, words: Words, step: ReseedStep): Step {
  return { ...base(step.kind), on: node, ...words, ...step };
}

function base(id: string): Pick<StepBase, 'id' | 'effect' | 'timeoutMs' | 'retry' | 'onFailure'> {
  return { id, effect: 'write', timeoutMs: 10 * MINUTE_MS, retry: 'never', onFailure: 'stop' };
}

/** As it was confirmed, for every step until it has been renamed away. */
function confirmed(intent: ReseedIntent, identity = intent.destinationIdentity): ConfirmedStandby {
  const { node, dataDirectory, systemIdentifier, primary } = intent;
  return { node, dataDirectory, identity: identity ?? undefined, systemIdentifier, primary };
}

export function stopStep(intent: ReseedIntent): Step {
  const { node, postgresMajor, owner, service } = intent;
  return onStandby(
    intent,
    {
      effect: 'destructive',
      title: `Stop ${node}`,
      reason: 'its data is seeded anew; its role is looked at once more before',
      probe: 'no server runs on its data directory',
    },
    { kind: 'stop-standby', standby: confirmed(intent), postgresMajor, owner, service },
  );
}

export function passfileStep(intent: ReseedIntent, { path, role, servers }: NonNullable<ReseedIntent['passfile']>): Step {
  const { node, dataDirectory, owner } = intent;
  return {
    ...base('write-passfile'),
    on: node,
    title: `Write the password of ${role} into ${path} (0600)`,
    reason: 'whatever seeds the standby, and the standby itself, read it there',
    probe: 'the file has this content',
    ...{ kind: 'write-passfile', node, path, dataDirectory, owner, role, servers },
  };
}

export function slotStep({ primary, slot, systemIdentifier }: ReseedIntent, why: string): Step {
  return {
    ...base('renew-slot'),
    title: `Have the slot ${slot} afresh on ${primary}`,
    reason: why,
    probe: 'pg_replication_slots has it, and it keeps WAL',
    ...{ kind: 'renew-slot', node: primary, slot, systemIdentifier },
  };
}

export function reserveStep(intent: ReseedIntent, runId: string): Step {
  const { area, owner } = intent;
  return onStandby(
    intent,
    {
      title: 'Reserve a place beside the data directory',
      reason: 'what was done of this run is written down there',
      probe: `${area.markerFile} names this run`,
    },
    { kind: 'reserve-reseed', standby: confirmed(intent), area, owner, runId },
  );
}

/** The data itself, by the method that was chosen. */
export function seedStep(intent: ReseedIntent): Step {
  const { method, source, backup, dataDirectory, reason } = intent;
  const probe = `${intent.area.markerFile} says seeded`;
  const words = { effect: worksInPlace(method) ? 'destructive' : 'write', reason, probe, timeoutMs: 48 * HOUR_MS } as const;
  switch (method) {
    case 'rewind':
      return onStandby(intent, { ...words, title: `Rewind ${dataDirectory} to ${source.name} (pg_rewind)` }, rewindStep(intent));
    case 'basebackup':
      return onStandby(intent, { ...words, title: `Copy ${source.name} (pg_basebackup)` }, copyStep(intent));
    case 'delta':
      return onStandby(
        intent,
        { ...words, title: `Restore backup ${backup?.label} of ${source.name} over ${dataDirectory}` },
        restoreStep(intent),
      );
    case 'backup':
      return onStandby(intent, { ...words, title: `Restore backup ${backup?.label} of ${source.name} beside` }, restoreStep(intent));
  }
}

function rewindStep(intent: ReseedIntent): ReseedStep {
  const { area, owner, postgresMajor, conninfo, configFile, rewindFrom } = intent;
  const standby = confirmed(intent);
  const further = { configFile: configFile ?? undefined, restoreFrom: rewindFrom ?? undefined };
  return { kind: 'rewind-standby', standby, area, owner, postgresMajor, conninfo, ...further };
}

function copyStep(intent: ReseedIntent): ReseedStep {
  const { area, owner, postgresMajor, conninfo, source, slot } = intent;
  const ofSource = source.kind === 'primary' ? slot : undefined;
  return { kind: 'copy-standby', standby: confirmed(intent), area, owner, postgresMajor, conninfo, slot: ofSource };
}

function restoreStep(intent: ReseedIntent): ReseedStep {
  const { area, owner, backup, tablespaceMap } = intent;
  if (backup === null) throw new RangeError(`${intent.method} without a backup`);
  return { kind: 'restore-standby', standby: confirmed(intent), area, owner, backup, into: placeOf(intent), tablespaceMap };
}

function placeOf({ method }: ReseedIntent): 'data directory' | 'beside' {
  return worksInPlace(method) ? 'data directory' : 'beside';
}

export function configureStep(intent: ReseedIntent): Step {
  const { area, owner, settings, restoreFrom, primary, slot } = intent;
  return onStandby(
    intent,
    {
      effect: worksInPlace(intent.method) ? 'destructive' : 'write',
      title: `Make it a standby of ${primary} by the slot ${slot}`,
      reason: 'without standby.signal it would be a second primary',
      probe: `${area.markerFile} says configured`,
    },
    {
      ...{ kind: 'configure-standby', standby: confirmed(intent), area, owner },
      ...{ into: placeOf(intent), settings, restoreFrom: restoreFrom ?? undefined },
    },
  );
}

/** `isAway`: an attempt that was interrupted has renamed the old data already. */
export function swapStep(intent: ReseedIntent, { isAway }: { readonly isAway: boolean }): Step {
  const { area, dataDirectory, oldDataDirectory } = intent;
  return onStandby(
    intent,
    {
      effect: 'destructive',
      title:
        oldDataDirectory === null
          ? `Rename the new data to ${dataDirectory}`
          : `Rename ${dataDirectory} to ${oldDataDirectory}, and the new data into its place`,
      reason: 'the old data stays bootable until the new streams',
      probe: `${dataDirectory} is what was seeded`,
    },
    {
      ...{ kind: 'swap-standby', standby: confirmed(intent, isAway ? null : intent.destinationIdentity), area },
      oldDataDirectory: oldDataDirectory ?? undefined,
    },
  );
}

export function startStep(intent: ReseedIntent): Step {
  const { node, dataDirectory, postgresMajor, owner, port, socketDirectory, service } = intent;
  return {
    ...base('start-restored'),
    on: node,
    title: `Start ${node} (${service.manager}, port ${port})`,
    reason: 'it has all that a standby needs',
    probe: `a postmaster runs in ${dataDirectory}`,
    ...{ kind: 'start-restored', dataDirectory, postgresMajor, owner, port, socketDirectory, service },
  };
}

export function awaitStep({ node, dataDirectory, primary, slot, systemIdentifier, maxLagBytes, patienceMs }: ReseedIntent): Step {
  return {
    ...base('await-streaming'),
    effect: 'read',
    title: `Wait until ${node} streams from ${primary} by ${slot}, on its timeline, and has caught up`,
    reason: 'only then it counts, and only then the old data may go',
    probe: 'the receiver streams, the slot is active, the lag is under the limit',
    timeoutMs: 48 * HOUR_MS,
    ...{ kind: 'await-streaming', node, dataDirectory, primary, slot, systemIdentifier, maxLagBytes, patienceMs },
  };
}

export function releaseStep({ node, area }: ReseedIntent): Step {
  return {
    ...base('release-restore-area'),
    on: node,
    title: 'Remove what is left of the place beside',
    reason: 'nothing of the run stays behind but its journal',
    probe: `${area.root} is gone`,
    ...{ kind: 'release-restore-area', area },
  };
}

/** When the run is given up between two renames: the first one backwards. */
export function putBackStep(intent: ReseedIntent): Step {
  const { area, dataDirectory, oldDataDirectory, destinationIdentity } = intent;
  if (oldDataDirectory === null || destinationIdentity === null) throw new RangeError('there is no old data');
  return onStandby(
    intent,
    {
      effect: 'destructive',
      title: `Rename ${oldDataDirectory} back to ${dataDirectory}`,
      reason: 'what was to take its place is given up',
      probe: `${dataDirectory} is the old data`,
    },
    {
      ...{ kind: 'swap-standby', standby: { ...confirmed(intent), identity: undefined } },
      ...{ area: { ...area, dataDirectory: oldDataDirectory }, oldDataDirectory: undefined },
    },
  );
}

/** When the run is given up: nothing of it is left. */
export function discardStep({ node, area, owner, postgresMajor }: ReseedIntent): Step {
  return {
    ...base('discard-restore-area'),
    on: node,
    title: 'Remove the place beside with all that is in it',
    reason: 'nobody can go on with it',
    probe: `${area.root} is gone`,
    ...{ kind: 'discard-restore-area', server: { area, owner, postgresMajor }, tablespaceMap: [] },
  };
}

export function retireStep({ node, destinationIdentity }: ReseedIntent, oldDataDirectory: string): Step {
  return {
    ...base('discard-old'),
    on: node,
    effect: 'destructive',
    title: `Remove the old data directory ${oldDataDirectory}`,
    reason: `${node} streams from what took its place`,
    probe: `${oldDataDirectory} is gone`,
    timeoutMs: HOUR_MS,
    ...{ kind: 'discard-old', oldDataDirectory, identity: destinationIdentity ?? undefined },
  };
}
