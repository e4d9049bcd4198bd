import type { Plan, Step } from '../../plan/step.ts';
import { currentCandidate, type RestoreFacts, sameBackup } from './facts.ts';
import type { PinnedCandidate, RestoreIntent } from './intent.ts';
import { pauseForRestore, resumeAfterRestore } from './patroni.ts';
import { filesToSalvage, isNote } from './salvage.ts';
import {
  closeWalStep,
  clearStep,
  copyStep,
  startIsolatedStep,
  tailStep,
  proveStep,
  settleStep,
  stopServerStep,
  swapStep,
  startRestoredStep,
  confirmStep,
  discardStep,
  discardOutdatedStep,
  releaseStep,
  isolatedServer,
  base,
  HOUR_MS,
} from './steps.ts';

/** How far a restore has come. Derived from the real system alone, in this order. */
type Stage = 'swapped' | 'down' | 'proven' | 'copied' | 'reserved' | 'untouched';

/**
 * What remains to be done of a restore. Pure. After each step, planning again gives the rest of the same plan:
 * that is how an interrupted run goes on.
 */
export function planRestore(intent: RestoreIntent, facts: RestoreFacts, runId: string): Plan {
  const candidate = currentCandidate(intent, facts);
  const stage = stageOf(intent, facts, candidate);
  const steps = [
    ...recording(intent, facts, candidate, stage),
    ...preparation(intent, facts, candidate, stage, runId),
    ...completion(intent, facts, stage),
  ];
  return { steps: steps.map((step) => ({ ...step, ...placeOf(step, intent) })), warnings: intent.warnings };
}

/** The node whose files and processes it is about: a restore beside is on this host. */
function placeOf({ kind }: Step, { inPlaceNode, closeWalOn }: RestoreIntent): Pick<Step, 'on'> {
  if (kind === 'pause-patroni' || kind === 'resume-patroni') return {};
  const on = kind === 'close-wal-segment' ? closeWalOn : inPlaceNode;
  return on === null ? {} : { on };
}

function stageOf(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Stage {
  const { data, reservedFor } = facts;
  const proof = facts.proof ?? facts.journalledProof;
  if (proof !== undefined && facts.destination.identity === proof.dataIdentity) return 'swapped';
  if (reservedFor === undefined || reservedFor === null || !sameBackup(reservedFor, candidate)) return 'untouched';
  if (data.control === undefined) return 'reserved';
  if (isProven(intent, facts, candidate)) return isDown(intent, data) ? 'down' : 'proven';
  // Replay is over and nobody has seen where it ended: that cannot be proven any more.
  return data.running === undefined && !data.hasRecoverySignal ? 'untouched' : 'copied';
}

/** The proof is of a server that stands where it stood then: one that still has to recover and was stopped begins somewhere before. */
function isProven(intent: RestoreIntent, { data, proof }: RestoreFacts, candidate: PinnedCandidate): boolean {
  if (proof === undefined || proof.dataIdentity !== data.identity || !sameBackup(proof.backup, candidate)) return false;
  return data.running !== undefined || !data.hasRecoverySignal || isDown(intent, data);
}

function isDown(intent: RestoreIntent, data: RestoreFacts['data']): boolean {
  if (data.running !== undefined) return false;
  return intent.targetAction === 'pause'
    ? data.control?.state === 'shut down in recovery'
    : data.control?.state === 'shut down' && !data.hasRecoverySignal;
}

/** A run that died between the proof and its line in the journal writes the line first: the proof itself goes with the place beside. */
function recording(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, stage: Stage): Step[] {
  const isOfUse = stage === 'proven' || stage === 'down' || stage === 'swapped';
  if (!isOfUse || facts.proof === undefined || facts.proof.provenAt === facts.journalledProof?.provenAt) return [];
  return [
    { ...proveStep(intent, candidate), title: 'Write the proof into the journal', reason: 'the run was interrupted before it could' },
  ];
}

/** Everything beside the data directory: it stays bootable as it is. */
function preparation(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, stage: Stage, runId: string): Step[] {
  switch (stage) {
    case 'untouched':
      return [
        ...reservation(intent, facts, candidate, runId),
        copyStep(intent, candidate, false),
        ...replay(intent, cleared(facts), candidate),
        ...settling(intent, { isPromoted: false }),
      ];
    case 'reserved':
      return [
        copyStep(intent, candidate, facts.data.kind !== 'absent' && facts.data.kind !== 'empty'),
        ...replay(intent, facts, candidate),
        ...settling(intent, { isPromoted: false }),
      ];
    case 'copied':
      return [...replay(intent, facts, candidate), ...settling(intent, { isPromoted: false })];
    case 'proven':
      return [...startAgain(intent, facts, candidate), ...settling(intent, { isPromoted: !facts.data.hasRecoverySignal })];
    case 'down':
      return facts.settled ? [] : [settleStep(intent)];
    case 'swapped':
      return [];
  }
}

/** As it will be seen once the place beside holds nothing of an earlier attempt any more. */
function cleared(facts: RestoreFacts): RestoreFacts {
  const { running: _running, control: _control, ...data } = facts.data;
  return { ...facts, data, salvaged: [], staged: [] };
}

/** From here on the destination is touched. */
function completion(intent: RestoreIntent, facts: RestoreFacts, stage: Stage): Step[] {
  const swapped = stage === 'swapped';
  const steps: Step[] = swapped ? [] : [...pauseForRestore(intent)];
  if (!swapped && intent.inPlaceNode !== null && facts.destination.running !== undefined)
    steps.push(stopServerStep(intent, intent.inPlaceNode));
  if (!swapped) steps.push(swapStep(intent, facts));
  if (intent.start) {
    if (!swapped || facts.destination.running === undefined) steps.push(startRestoredStep(intent));
    steps.push(confirmStep(intent), ...resumeAfterRestore(intent));
  }
  if (intent.discardOld && intent.oldDataDirectory !== null && (!swapped || facts.old !== undefined))
    steps.push(discardStep(intent, intent.oldDataDirectory));
  for (const outdated of intent.outdated) if (facts.outdated.includes(outdated.path)) steps.push(discardOutdatedStep(outdated));
  if (!swapped || facts.areaExists) steps.push(releaseStep(intent));
  return steps;
}

function reservation(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, runId: string): Step[] {
  const steps: Step[] = [];
  if (facts.reservedFor !== undefined) steps.push(clearStep(intent));
  if (intent.closeWalOn !== null && !facts.walClosed) steps.push(closeWalStep(intent, intent.closeWalOn, candidate));
  steps.push({
    ...base(
      'reserve-restore-area',
      'write',
      'Reserve a place beside the data directory',
      'what is restored is proven there before anything is replaced',
    ),
    kind: 'reserve-restore-area',
    probe: `${intent.area.markerFile} names this run`,
    area: intent.area,
    owner: intent.owner,
    runId,
    backup: { repository: candidate.repository, label: candidate.label },
  });
  return steps;
}

function replay(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  const running = facts.data.running !== undefined;
  return [
    ...(running ? [] : salvageSteps(intent, facts, candidate)),
    ...(running ? [] : tailSteps(intent, facts, candidate)),
    ...(running ? [] : [startIsolatedStep(intent, candidate)]),
    proveStep(intent, candidate),
  ];
}

function salvageSteps(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  const files = filesToSalvage(facts.salvageable, candidate.lastArchivedSegment).filter((name) => !facts.salvaged.includes(name));
  const count = files.filter((name) => !isNote(name)).length;
  if (intent.salvageFrom === null || files.length === 0 || hasBegunReplay(facts, candidate)) return [];
  return [
    {
      ...base(
        'salvage-wal',
        'write',
        `Copy ${count} WAL file${count === 1 ? '' : 's'} from ${intent.salvageFrom}/pg_wal`,
        'the server that wrote them is down and they may never have been archived',
      ),
      kind: 'salvage-wal',
      probe: 'the files are in pg_wal of the restored data',
      timeoutMs: HOUR_MS,
      area: intent.area,
      owner: intent.owner,
      fromDirectory: `${intent.salvageFrom}/pg_wal`,
      files,
    },
  ];
}

/** After a crash between proof and clean shutdown. */
function startAgain(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  return facts.data.running === undefined ? [startIsolatedStep(intent, candidate)] : [];
}

function settling(intent: RestoreIntent, { isPromoted }: { readonly isPromoted: boolean }): Step[] {
  const steps: Step[] = [];
  // At the end of the archive PostgreSQL leaves recovery by itself.
  if (intent.targetAction === 'promote' && intent.target.kind !== 'latest' && !isPromoted)
    steps.push({
      ...base('promote-isolated', 'write', 'Promote it to a timeline of its own', 'the target is proven; from here on it accepts writes'),
      kind: 'promote-isolated',
      probe: 'recovery.signal is gone',
      timeoutMs: HOUR_MS,
      server: isolatedServer(intent),
    });
  steps.push({
    ...base('stop-isolated', 'write', 'Stop it cleanly', 'everything is on disk before it takes its place'),
    kind: 'stop-isolated',
    probe: 'pg_control says shut down',
    timeoutMs: HOUR_MS,
    server: isolatedServer(intent),
  });
  if (intent.targetAction === 'promote' || intent.archiving === 'off') steps.push(settleStep(intent));
  return steps;
}

function tailSteps(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  const { tail } = candidate;
  if (tail === undefined || tail === null || hasBegunReplay(facts, candidate)) return [];
  if (tail.segments.every((name) => facts.staged.includes(name))) return [];
  return [tailStep(intent, candidate, tail)];
}

/** Once it has begun, pg_wal has recycled files in it, which must not be taken for copies. */
function hasBegunReplay({ reservedFor, data }: RestoreFacts, candidate: PinnedCandidate): boolean {
  const isThisAttempt = reservedFor !== undefined && reservedFor !== null && sameBackup(reservedFor, candidate);
  return isThisAttempt && data.control?.state.includes('recovery') === true;
}
