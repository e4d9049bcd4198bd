import type { Plan, Step, StepBase } from '../../plan/step.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { describeTarget } from '../../domain/recovery/describe-target.ts';
import { currentCandidate, type RestoreFacts, sameBackup } from './facts.ts';
import { targetFromJson, type PinnedCandidate, type RestoreIntent } from './intent.ts';
import { filesToSalvage } from './salvage.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** How far a restore has come. Derived from the real system alone, in this order. */
type Stage = 'swapped' | 'down' | 'proven' | 'copied' | 'reserved' | 'untouched';

/**
 * What remains to be done of a restore. Pure. After each step, planning again gives the rest of the same plan:
 * that is how an interrupted run goes on.
 */
export function planRestore(intent: RestoreIntent, facts: RestoreFacts, runId: string): Plan {
  const candidate = currentCandidate(intent, facts);
  const stage = stageOf(intent, facts, candidate);
  const steps = [...recording(intent, facts, candidate, stage), ...preparation(intent, facts, candidate, stage, runId), ...completion(intent, facts, stage)];
  return { steps, warnings: intent.warnings };
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
  return intent.targetAction === 'pause' ? data.control?.state === 'shut down in recovery' : data.control?.state === 'shut down' && !data.hasRecoverySignal;
}

/** A run that died between the proof and its line in the journal writes the line first: the proof itself goes with the place beside. */
function recording(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, stage: Stage): Step[] {
  const isOfUse = stage === 'proven' || stage === 'down' || stage === 'swapped';
  if (!isOfUse || facts.proof === undefined || facts.proof.provenAt === facts.journalledProof?.provenAt) return [];
  return [{ ...proveStep(intent, candidate), title: 'Write the proof into the journal', reason: 'the run was interrupted before it could' }];
}

/** Everything beside the data directory: it stays bootable as it is. */
function preparation(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, stage: Stage, runId: string): Step[] {
  switch (stage) {
    case 'untouched':
      return [...reservation(intent, facts, candidate, runId), copyStep(intent, candidate, false), ...replay(intent, facts, candidate), ...settling(intent, facts)];
    case 'reserved':
      return [copyStep(intent, candidate, facts.data.kind !== 'absent' && facts.data.kind !== 'empty'), ...replay(intent, facts, candidate), ...settling(intent, facts)];
    case 'copied':
      return [...replay(intent, facts, candidate), ...settling(intent, facts)];
    case 'proven':
      return [...startAgain(intent, facts), ...settling(intent, facts)];
    case 'down':
      return facts.settled ? [] : [settleStep(intent)];
    case 'swapped':
      return [];
  }
}

/** From here on the destination is touched. */
function completion(intent: RestoreIntent, facts: RestoreFacts, stage: Stage): Step[] {
  const swapped = stage === 'swapped';
  const steps: Step[] = [];
  if (!swapped && intent.inPlaceNode !== null && facts.destination.running !== undefined) steps.push(stopServerStep(intent, intent.inPlaceNode));
  if (!swapped) steps.push(swapStep(intent, facts));
  if (intent.start) {
    if (!swapped || facts.destination.running === undefined) steps.push(startRestoredStep(intent));
    steps.push(confirmStep(intent));
  }
  if (intent.discardOld && intent.oldDataDirectory !== null && (!swapped || facts.old !== undefined)) steps.push(discardStep(intent, intent.oldDataDirectory, facts));
  for (const outdated of intent.outdated) if (facts.outdated.includes(outdated.path)) steps.push(discardOutdatedStep(outdated));
  if (!swapped || facts.areaExists) steps.push(releaseStep(intent));
  return steps;
}

function reservation(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate, runId: string): Step[] {
  const steps: Step[] = [];
  if (facts.reservedFor !== undefined) steps.push(clearStep(intent));
  else if (intent.closeWalOn !== null) steps.push(closeWalStep(intent, intent.closeWalOn, candidate));
  steps.push({
    ...base('reserve-restore-area', 'write', 'Reserve a place beside the data directory', 'what is restored is proven there before anything is replaced'),
    kind: 'reserve-restore-area',
    probe: `${intent.area.markerFile} names this run`,
    area: intent.area,
    owner: intent.owner,
    runId,
    backup: { repository: candidate.repository, label: candidate.label },
  });
  return steps;
}

function closeWalStep(intent: RestoreIntent, node: string, candidate: PinnedCandidate): Step {
  return {
    ...base('close-wal-segment', 'write', `Have ${node} commit a marker and archive its current WAL segment`, 'WAL that is still on the server would be missing from the restore'),
    kind: 'close-wal-segment',
    probe: 'the segment is in the repository',
    timeoutMs: 2 * MINUTE_MS,
    retry: 'transient',
    onFailure: intent.closeWalMayFail ? 'continue' : 'stop',
    node,
    repositories: [candidate.repository],
  };
}

function clearStep(intent: RestoreIntent): Step {
  return {
    ...base('clear-restore-area', 'write', 'Clear the place beside of the attempt that failed', 'another backup is tried'),
    kind: 'clear-restore-area',
    probe: `${intent.area.dataDirectory} is gone`,
    area: intent.area,
    server: isolatedServer(intent),
    tablespaceMap: intent.tablespaceMap,
  };
}

function copyStep(intent: RestoreIntent, candidate: PinnedCandidate, resume: boolean): Step {
  return {
    ...base(
      'copy-backup',
      'write',
      `Copy backup ${candidate.label} from repository ${candidate.repository} (${formatBytes(BigInt(candidate.databaseBytes))})`,
      candidate.reasons.join('; '),
    ),
    kind: 'copy-backup',
    probe: `${intent.area.dataDirectory}/global/pg_control is there: it is written last`,
    timeoutMs: 48 * HOUR_MS,
    retry: 'transient',
    area: intent.area,
    owner: intent.owner,
    backup: { repository: candidate.repository, label: candidate.label },
    target: targetFromJson(intent.target),
    timeline: candidate.timeline,
    tablespaceMap: intent.tablespaceMap,
    resume,
  };
}

function replay(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  const running = facts.data.running !== undefined;
  return [...(running ? [] : salvageSteps(intent, facts, candidate)), ...(running ? [] : [startIsolatedStep(intent)]), proveStep(intent, candidate)];
}

function salvageSteps(intent: RestoreIntent, facts: RestoreFacts, candidate: PinnedCandidate): Step[] {
  const files = filesToSalvage(facts.salvageable, candidate.lastArchivedSegment);
  if (intent.salvageFrom === null || files.length === 0) return [];
  return [
    {
      ...base(
        'salvage-wal',
        'write',
        `Copy ${files.length} WAL segment${files.length === 1 ? '' : 's'} from ${intent.salvageFrom}/pg_wal`,
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

function startIsolatedStep(intent: RestoreIntent): Step {
  return {
    ...base('start-isolated', 'write', 'Start it isolated: own socket, no TCP, nothing archived', 'replay is proven where nobody can connect'),
    kind: 'start-isolated',
    probe: `a postmaster runs in ${intent.area.dataDirectory}`,
    server: isolatedServer(intent),
    archiving: intent.archiving,
  };
}

function proveStep(intent: RestoreIntent, candidate: PinnedCandidate): Step {
  const target = targetFromJson(intent.target);
  return {
    ...base(
      'prove-target',
      'write',
      `Replay WAL to ${describeTarget(target)} (about ${candidate.walSegments} segments, ${formatBytes(BigInt(candidate.walBytes))}) and prove it was reached`,
      'PostgreSQL itself has to say where it stopped',
    ),
    kind: 'prove-target',
    probe: `${intent.area.proofFile} is there`,
    timeoutMs: 48 * HOUR_MS,
    server: isolatedServer(intent),
    target,
    leastLsn: candidate.leastLsn ?? undefined,
    backup: { repository: candidate.repository, label: candidate.label },
  };
}

/** After a crash between proof and clean shutdown. */
function startAgain(intent: RestoreIntent, facts: RestoreFacts): Step[] {
  return facts.data.running === undefined ? [startIsolatedStep(intent)] : [];
}

function settling(intent: RestoreIntent, facts: RestoreFacts): Step[] {
  const promoted = facts.proof !== undefined && !facts.data.hasRecoverySignal;
  const steps: Step[] = [];
  if (intent.targetAction === 'promote' && !promoted)
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
  steps.push(settleStep(intent));
  return steps;
}

function settleStep(intent: RestoreIntent): Step {
  const off = intent.archiving === 'off' ? ', turn archiving off' : '';
  return {
    ...base('settle-configuration', 'write', `Clean postgresql.auto.conf of recovery settings${off}`, 'stale settings would surprise the next recovery'),
    kind: 'settle-configuration',
    probe: 'postgresql.auto.conf has none of them',
    area: intent.area,
    owner: intent.owner,
    keepRecoverySettings: intent.targetAction === 'pause',
    archiving: intent.archiving,
  };
}

function stopServerStep(intent: RestoreIntent, node: string): Step {
  return {
    ...base('stop-server', 'destructive', `Stop ${node}`, 'its data directory is about to be replaced; the outage begins here'),
    kind: 'stop-server',
    probe: `no server runs in ${intent.dataDirectory}`,
    timeoutMs: 10 * MINUTE_MS,
    node,
    dataDirectory: intent.dataDirectory,
    postgresMajor: intent.postgresMajor,
    owner: intent.owner,
    service: intent.service,
    systemIdentifier: intent.systemIdentifier,
  };
}

function swapStep(intent: RestoreIntent, facts: RestoreFacts): Step {
  const keeps = intent.oldDataDirectory !== null;
  const alreadyMoved = keeps && facts.old !== undefined && facts.old.identity === intent.destinationIdentity;
  return {
    ...base(
      'swap-data-directory',
      'destructive',
      keeps ? `Rename ${intent.dataDirectory} to ${intent.oldDataDirectory}, and the restored data into its place` : `Rename the restored data to ${intent.dataDirectory}`,
      'the commit point: a rename, after the proof',
    ),
    kind: 'swap-data-directory',
    probe: `${intent.dataDirectory} is the directory that was proven`,
    area: intent.area,
    dataDirectory: intent.dataDirectory,
    oldDataDirectory: intent.oldDataDirectory ?? undefined,
    destinationIdentity: alreadyMoved ? undefined : (intent.destinationIdentity ?? undefined),
  };
}

function startRestoredStep(intent: RestoreIntent): Step {
  return {
    ...base('start-restored', 'write', `Start the restored server (${intent.service.manager}, port ${intent.port})`, 'it is in its place'),
    kind: 'start-restored',
    probe: `a postmaster runs in ${intent.dataDirectory}`,
    timeoutMs: 10 * MINUTE_MS,
    dataDirectory: intent.dataDirectory,
    postgresMajor: intent.postgresMajor,
    owner: intent.owner,
    port: intent.port,
    socketDirectory: intent.socketDirectory,
    service: intent.service,
  };
}

function confirmStep(intent: RestoreIntent): Step {
  return {
    ...base('confirm-restored', 'read', 'Confirm that it answers as the right cluster', 'a server that starts is not yet one that serves'),
    kind: 'confirm-restored',
    node: intent.inPlaceNode ?? undefined,
    probe: 'it answers',
    timeoutMs: intent.targetAction === 'pause' ? 48 * HOUR_MS : 10 * MINUTE_MS,
    dataDirectory: intent.dataDirectory,
    port: intent.port,
    socketDirectory: intent.socketDirectory,
    superusers: intent.superusers,
    systemIdentifier: intent.systemIdentifier,
    writable: intent.targetAction === 'promote',
  };
}

function discardStep(intent: RestoreIntent, oldDataDirectory: string, facts: RestoreFacts): Step {
  return {
    ...base('discard-old', 'destructive', `Remove the old data directory ${oldDataDirectory}`, '--discard-old was given, and the restored server answers'),
    kind: 'discard-old',
    probe: `${oldDataDirectory} is gone`,
    timeoutMs: HOUR_MS,
    oldDataDirectory,
    identity: facts.old?.identity ?? intent.destinationIdentity ?? undefined,
  };
}

function discardOutdatedStep({ path, identity, days }: RestoreIntent['outdated'][number]): Step {
  return {
    ...base(`discard-old:${path}`, 'destructive', `Remove ${path}`, `an earlier restore replaced it more than ${days} days ago (restore.keepOldDays)`),
    kind: 'discard-old',
    probe: `${path} is gone`,
    timeoutMs: HOUR_MS,
    onFailure: 'continue',
    oldDataDirectory: path,
    identity,
  };
}

function releaseStep(intent: RestoreIntent): Step {
  return {
    ...base('release-restore-area', 'write', 'Remove what is left of the place beside', 'nothing of the run stays behind but its journal'),
    kind: 'release-restore-area',
    probe: `${intent.area.root} is gone`,
    area: intent.area,
  };
}

function isolatedServer(intent: RestoreIntent): { area: RestoreIntent['area']; owner: RestoreIntent['owner']; postgresMajor: number; superusers: readonly string[] } {
  return { area: intent.area, owner: intent.owner, postgresMajor: intent.postgresMajor, superusers: intent.superusers };
}

function base(id: string, effect: StepBase['effect'], title: string, reason: string): Omit<StepBase, 'probe'> {
  return { id, effect, title, reason, timeoutMs: 10 * MINUTE_MS, retry: 'never', onFailure: 'stop' };
}
