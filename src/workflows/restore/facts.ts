import { SpokeError } from '../../errors.ts';
import { withoutRecoverySettings } from '../../domain/recovery/settings.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { PinnedBackup } from '../../plan/step.ts';
import { instanceOf } from '../hosts.ts';
import type { PinnedCandidate, RestoreIntent } from './intent.ts';
import { ARCHIVE_STATUS } from './salvage.ts';

/** What PostgreSQL said when it had reached the target; written beside the restored data and journalled. */
export interface Reached {
  /** Commit time of the last replayed transaction, ISO with microseconds, UTC; null where none was replayed. */
  readonly time: string | null;
  readonly lsn: string;
  /** Of the last replayed transaction, its low 32 bits; null where PostgreSQL did not stop right after one. */
  readonly xid: string | null;
  /** The timeline that was replayed. */
  readonly timeline: number;
}

export interface Proof {
  readonly reached: Reached;
  /** The words of the server's log. */
  readonly evidence: string;
  readonly backup: PinnedBackup;
  /** device:inode of the restored data directory: recognised again after the swap. */
  readonly dataIdentity: string;
  readonly provenAt: string;
  /** How many segments were fetched and replayed. */
  readonly walSegments: number;
}

/** Where a restore stands, as the real system shows it. */
export interface RestoreFacts {
  /** The backup that the restore area was reserved for; null while it is being cleared; undefined where nothing is reserved. */
  readonly reservedFor?: PinnedBackup | null;
  readonly data: DirectoryFacts;
  /** As it lies beside the restored data. It goes when the place is cleared, and when the server is started to replay again. */
  readonly proof?: Proof;
  /** As the journal has it: it remains when the place beside is gone. */
  readonly journalledProof?: Proof;
  /** Whether postgresql.auto.conf of the restored data still has recovery or archiving settings of the restore. */
  readonly settled: boolean;
  readonly destination: DirectoryFacts;
  readonly old?: DirectoryFacts;
  /** Those of the intent's outdated directories that are still there. */
  readonly outdated: readonly string[];
  readonly areaExists: boolean;
  /** Files of the salvage directory's pg_wal, and what its archiver has noted in archive_status. */
  readonly salvageable: readonly string[];
  /** Those that the restored data's pg_wal has by now. */
  readonly salvaged: readonly string[];
  /** The files of the restored data's pg_wal, where streamed WAL is to be staged there. */
  readonly staged: readonly string[];
  /** Whether this run had the primary close its segment, or tried to where it need not succeed: the end that was decided for is archived. */
  readonly walClosed: boolean;
  /** Those that failed in this run. */
  readonly failed: readonly PinnedBackup[];
}

/** The first candidate that has not failed. Throws the reason of the last failure where all have. */
export function currentCandidate(intent: RestoreIntent, facts: Pick<RestoreFacts, 'failed'>): PinnedCandidate {
  const candidate = intent.candidates.find((one) => !facts.failed.some((failed) => sameBackup(failed, one)));
  if (candidate === undefined)
    throw new SpokeError('TARGET_NOT_FOUND', `none of ${intent.candidates.length} backups led to the target`, {
      details: { failed: facts.failed },
    });
  return candidate;
}

export function sameBackup(a: PinnedBackup, b: PinnedBackup): boolean {
  return a.repository === b.repository && a.label === b.label;
}

/** Looks at the restore area and the destination, on their host, and at the journal of the run. */
export async function observeRestore(
  intent: RestoreIntent,
  run: StoredRun,
  here: ReadPorts,
  context: OperationContext,
): Promise<RestoreFacts> {
  const { area } = intent;
  const ports = { ...here, instance: await instanceOf(intent.inPlaceNode, here, context) };
  const [data, destination, root, old] = await Promise.all([
    ports.instance.inspectDirectory(area.dataDirectory, context),
    ports.instance.inspectDirectory(intent.dataDirectory, context),
    ports.instance.inspectDirectory(area.root, context),
    intent.oldDataDirectory === null ? undefined : ports.instance.inspectDirectory(intent.oldDataDirectory, context),
  ]);
  const reservedFor = await readJson<{ backup: PinnedBackup | null }>(area.markerFile, ports);
  const [proof, journalled] = [await readProof(area, ports), journalledProof(run)];
  const autoConf = await ports.instance.readFileTail(`${area.dataDirectory}/postgresql.auto.conf`, 1024 * 1024);
  return {
    ...(reservedFor === undefined ? {} : { reservedFor: reservedFor.backup }),
    data,
    ...(proof === undefined ? {} : { proof }),
    ...(journalled === undefined ? {} : { journalledProof: journalled }),
    settled: isSettled(intent, autoConf),
    destination,
    ...(old === undefined || old.kind === 'absent' ? {} : { old }),
    outdated: await stillThere(intent.outdated, ports, context),
    areaExists: root.kind !== 'absent',
    ...(await observeSalvage(intent, ports)),
    staged: await observeStaged(intent, ports),
    walClosed: isWalClosed(intent, run),
    failed: failedCandidates(run),
  };
}

async function stillThere(outdated: RestoreIntent['outdated'], ports: ReadPorts, context: OperationContext): Promise<readonly string[]> {
  const found = await Promise.all(outdated.map(({ path }) => ports.instance.inspectDirectory(path, context)));
  return outdated.filter(({ identity }, index) => found[index]?.identity === identity).map(({ path }) => path);
}

async function observeSalvage(
  { salvageFrom, area }: RestoreIntent,
  ports: ReadPorts,
): Promise<Pick<RestoreFacts, 'salvageable' | 'salvaged'>> {
  if (salvageFrom === null) return { salvageable: [], salvaged: [] };
  const salvageable = await walFiles(`${salvageFrom}/pg_wal`, ports);
  const present = new Set(await walFiles(`${area.dataDirectory}/pg_wal`, ports));
  return { salvageable, salvaged: salvageable.filter((name) => present.has(name)) };
}

async function observeStaged({ candidates, area }: RestoreIntent, ports: ReadPorts): Promise<readonly string[]> {
  const hasTail = candidates.some(({ tail }) => tail !== undefined && tail !== null);
  return hasTail ? ports.instance.listFiles(`${area.dataDirectory}/pg_wal`) : [];
}

async function walFiles(directory: string, ports: ReadPorts): Promise<readonly string[]> {
  const [files, notes] = await Promise.all([
    ports.instance.listFiles(directory),
    ports.instance.listFiles(`${directory}/${ARCHIVE_STATUS}`),
  ]);
  return [...files, ...notes.map((name) => `${ARCHIVE_STATUS}/${name}`)];
}

function isSettled(intent: RestoreIntent, autoConf: string): boolean {
  return settledAutoConf(autoConf, intent.targetAction === 'pause', intent.archiving) === autoConf;
}

/** postgresql.auto.conf as it is to be once the restore is proven: no stale recovery settings, archiving as decided. */
export function settledAutoConf(autoConf: string, keepRecoverySettings: boolean, archiving: 'keep' | 'off'): string {
  const archiveOff = "archive_mode = 'off'\n";
  const cleaned = keepRecoverySettings ? autoConf : withoutRecoverySettings(autoConf);
  if (archiving === 'keep' || cleaned.endsWith(archiveOff)) return cleaned;
  return `${cleaned}${cleaned === '' || cleaned.endsWith('\n') ? '' : '\n'}${archiveOff}`;
}

/** The proof beside the restored data; undefined where there is none, or it is void. */
export function readProof(area: RestoreIntent['area'], ports: Pick<ReadPorts, 'instance'>): Promise<Proof | undefined> {
  return readJson<Proof>(area.proofFile, ports);
}

/** Undefined where the file is missing or empty: an empty one is a void one. */
async function readJson<T>(path: string, ports: Pick<ReadPorts, 'instance'>): Promise<T | undefined> {
  const text = await ports.instance.readFileTail(path, 1024 * 1024);
  return text === '' ? undefined : (JSON.parse(text) as T);
}

function journalledProof(run: StoredRun): Proof | undefined {
  const finished = run.entries.findLast((entry) => entry.kind === 'step-finished' && entry.step === 'prove-target');
  return finished?.kind === 'step-finished' ? (finished.result as Proof) : undefined;
}

function isWalClosed({ closeWalMayFail }: RestoreIntent, run: StoredRun): boolean {
  return run.entries.some(
    (entry) =>
      'step' in entry &&
      entry.step === 'close-wal-segment' &&
      (entry.kind === 'step-finished' || (closeWalMayFail && entry.kind === 'step-failed')),
  );
}

/** The note that the workflow leaves when it gives a candidate up. */
export const CANDIDATE_FAILED = 'candidate failed';

/** Those that this run has given up. */
export function failedCandidates(run: StoredRun): readonly PinnedBackup[] {
  return run.entries.flatMap((entry) =>
    entry.kind === 'note' && entry.message === CANDIDATE_FAILED ? [entry.detail as PinnedBackup] : [],
  );
}
