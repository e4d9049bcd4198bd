import { formatBytes } from '../../domain/bytes.ts';
import { describeTarget } from '../../domain/recovery/describe-target.ts';
import { formatInstantUtc, instantOfMicros } from '../../domain/time/instant.ts';
import type { Step, StepBase } from '../../plan/step.ts';
import type { RestoreFacts } from './facts.ts';
import { type OutdatedDirectory, type PinnedCandidate, type PinnedTail, type RestoreIntent, targetFromJson } from './intent.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

export function closeWalStep(intent: RestoreIntent, node: string, candidate: PinnedCandidate): Step {
  return {
    ...base(
      'close-wal-segment',
      'write',
      `Have ${node} commit a marker and archive its current WAL segment`,
      'WAL that is still on the server would be missing from the restore',
    ),
    kind: 'close-wal-segment',
    probe: 'the segment is in the repository',
    timeoutMs: 2 * MINUTE_MS,
    retry: 'transient',
    onFailure: intent.closeWalMayFail ? 'continue' : 'stop',
    node,
    repositories: [candidate.repository],
  };
}

export function clearStep(intent: RestoreIntent): Step {
  return {
    ...base('clear-restore-area', 'write', 'Clear the place beside of the attempt that failed', 'another backup is tried'),
    kind: 'clear-restore-area',
    probe: `${intent.area.dataDirectory} is gone`,
    area: intent.area,
    server: isolatedServer(intent),
    tablespaceMap: intent.tablespaceMap,
  };
}

function sizeOf({ databaseBytes, stagedBytes }: PinnedCandidate): string {
  const size = formatBytes(BigInt(databaseBytes));
  return stagedBytes === undefined ? size : `${size}; made of backups that take ${formatBytes(BigInt(stagedBytes))} beside it meanwhile`;
}

export function copyStep(intent: RestoreIntent, candidate: PinnedCandidate, resume: boolean): Step {
  return {
    ...base(
      'copy-backup',
      'write',
      `Copy backup ${candidate.label} from repository ${candidate.repository} (${sizeOf(candidate)})`,
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

export function tailStep(intent: RestoreIntent, { repository }: PinnedCandidate, tail: PinnedTail): Step {
  const at = formatInstantUtc(instantOfMicros(BigInt(tail.atMicros)), { fraction: 'none' });
  const count = tail.segments.length;
  return {
    ...base(
      'stage-tail',
      'write',
      `Add ${count} streamed WAL segment${count === 1 ? '' : 's'}, up to LSN ${tail.toLsn}, ${at}`,
      `the archive ends at ${tail.fromLsn}`,
    ),
    kind: 'stage-tail',
    probe: 'they are in pg_wal',
    timeoutMs: HOUR_MS,
    retry: 'transient',
    area: intent.area,
    owner: intent.owner,
    repository,
    segments: tail.segments,
    histories: tail.histories,
    systemIdentifier: intent.systemIdentifier,
  };
}

export function startIsolatedStep(intent: RestoreIntent, { repository, label }: PinnedCandidate): Step {
  return {
    ...base(
      'start-isolated',
      'write',
      'Start it isolated: own socket, no TCP, nothing archived',
      'replay is proven where nobody can connect',
    ),
    kind: 'start-isolated',
    probe: `a postmaster runs in ${intent.area.dataDirectory}`,
    server: isolatedServer(intent),
    archiving: intent.archiving,
    backup: { repository, label },
  };
}

export function proveStep(intent: RestoreIntent, candidate: PinnedCandidate): Step {
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

export function settleStep(intent: RestoreIntent): Step {
  const off = intent.archiving === 'off' ? ', turn archiving off' : '';
  return {
    ...base(
      'settle-configuration',
      'write',
      `Clean postgresql.auto.conf of recovery settings${off}`,
      'stale settings would surprise the next recovery',
    ),
    kind: 'settle-configuration',
    probe: 'postgresql.auto.conf has none of them',
    area: intent.area,
    owner: intent.owner,
    keepRecoverySettings: intent.targetAction === 'pause',
    archiving: intent.archiving,
  };
}

export function stopServerStep(intent: RestoreIntent, node: string): Step {
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
    destinationIdentity: intent.destinationIdentity ?? undefined,
  };
}

export function swapStep(intent: RestoreIntent, facts: RestoreFacts): Step {
  const keeps = intent.oldDataDirectory !== null;
  const alreadyMoved = keeps && facts.old !== undefined && facts.old.identity === intent.destinationIdentity;
  return {
    ...base(
      'swap-data-directory',
      'destructive',
      keeps
        ? `Rename ${intent.dataDirectory} to ${intent.oldDataDirectory}, and the restored data into its place`
        : `Rename the restored data to ${intent.dataDirectory}`,
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

export function startRestoredStep(intent: RestoreIntent): Step {
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

export function confirmStep(intent: RestoreIntent): Step {
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

export function discardStep(intent: RestoreIntent, oldDataDirectory: string): Step {
  return {
    ...base(
      'discard-old',
      'destructive',
      `Remove the old data directory ${oldDataDirectory}`,
      intent.start ? '--discard-old was given, and the restored server answers' : '--discard-old was given',
    ),
    kind: 'discard-old',
    probe: `${oldDataDirectory} is gone`,
    timeoutMs: HOUR_MS,
    oldDataDirectory,
    identity: intent.destinationIdentity ?? undefined,
  };
}

export function discardOutdatedStep({ path, identity, days }: OutdatedDirectory): Step {
  return {
    ...base(
      `discard-old:${path}`,
      'destructive',
      `Remove ${path}`,
      `an earlier restore replaced it more than ${days} days ago (restore.keepOldDays)`,
    ),
    kind: 'discard-old',
    probe: `${path} is gone`,
    timeoutMs: HOUR_MS,
    onFailure: 'continue',
    oldDataDirectory: path,
    identity,
  };
}

export function releaseStep(intent: RestoreIntent): Step {
  return {
    ...base('release-restore-area', 'write', 'Remove what is left of the place beside', 'nothing of the run stays behind but its journal'),
    kind: 'release-restore-area',
    probe: `${intent.area.root} is gone`,
    area: intent.area,
  };
}

/** When the restore ends before its time: nothing is left running. */
export function endIsolatedStep(intent: RestoreIntent): Step {
  return {
    ...base('end-isolated', 'write', 'End the isolated server', 'the restore ended before its time'),
    ...onItsNode(intent),
    kind: 'end-isolated',
    probe: `no server runs in ${intent.area.dataDirectory}`,
    server: isolatedPlace(intent),
  };
}

/** When it can never be resumed: nothing of it is left, either. */
export function discardAreaStep(intent: RestoreIntent): Step {
  return {
    ...base('discard-restore-area', 'write', 'Remove the place beside with all that is in it', 'nobody can go on with it'),
    ...onItsNode(intent),
    kind: 'discard-restore-area',
    probe: `${intent.area.root} is gone`,
    server: isolatedPlace(intent),
    tablespaceMap: intent.tablespaceMap,
  };
}

function isolatedPlace({ area, owner, postgresMajor }: RestoreIntent) {
  return { area, owner, postgresMajor };
}

function onItsNode({ inPlaceNode }: RestoreIntent): Pick<StepBase, 'on'> {
  return inPlaceNode === null ? {} : { on: inPlaceNode };
}

/** What every step on the isolated server has to know of it. */
export function isolatedServer(intent: RestoreIntent): {
  area: RestoreIntent['area'];
  owner: RestoreIntent['owner'];
  postgresMajor: number;
  superusers: readonly string[];
} {
  return { area: intent.area, owner: intent.owner, postgresMajor: intent.postgresMajor, superusers: intent.superusers };
}

/** What all steps of a restore share. */
export function base(id: string, effect: StepBase['effect'], title: string, reason: string): Omit<StepBase, 'probe'> {
  return { id, effect, title, reason, timeoutMs: 10 * MINUTE_MS, retry: 'never', onFailure: 'stop' };
}
