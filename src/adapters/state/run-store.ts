import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { DamagedRun, JournalEntry, RunFilter, RunHeader, RunId, RunReader, RunWriter, StoredRun } from '../../ports/run-store.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { appendLine, entriesOf } from './journal-file.ts';
import { isRunId, matchesId } from './run-id.ts';
import { entryToLine, headerOfText, headerToText } from './run-json.ts';

const HEADER = 'header.json';
const JOURNAL = 'journal.jsonl';
const CANCEL = 'cancel-requested';
/** No run id begins like this: whatever bears such a name is on its way out. */
const REMOVING = '.removing-';

/**
 * Runs as files: `<stateDirectory>/runs/<run id>/header.json`, written once, and `journal.jsonl`, one line an entry, only
 * ever added to. Whoever appends holds the run's lock; readers need none.
 */
export function createRunStore(stateDirectory: string): RunReader & RunWriter {
  const runs = join(stateDirectory, 'runs');
  const appending = new Map<RunId, Promise<void>>();
  return {
    list: (filter = {}) => translating(`list the runs in ${runs}`, () => listRuns(runs, filter)),
    listIds: (filter = {}) => translating(`list the runs in ${runs}`, () => idsIn(runs, filter)),
    listDamaged: ({ among } = {}) => translating(`list the runs in ${runs}`, () => listDamaged(runs, among)),
    read: (runId) => translating(`read the run ${runId}`, () => readRun(runs, runId)),
    isCancelRequested: (runId) => translating(`read the run ${runId}`, () => isThere(join(directoryOf(runs, runId), CANCEL))),
    create: (header) => translating(`write the run ${header.runId}`, () => createRun(runs, header)),
    append(runId, entry) {
      const before = appending.get(runId) ?? Promise.resolve();
      const after = before
        .catch(() => undefined)
        .then(() => translating(`write to the journal of ${runId}`, () => appendEntry(runs, runId, entry)));
      appending.set(runId, after);
      return after;
    },
    remove: (runIds) => translating(`remove old runs from ${runs}`, () => removeRuns(runs, runIds)),
    setAside: (runId) => translating(`set the run ${runId} aside`, () => setAside(runs, join(stateDirectory, 'damaged-runs'), runId)),
    requestCancel: (runId, wanted) => translating(`write to the run ${runId}`, () => requestCancel(runs, runId, wanted)),
  };
}

async function idsIn(runs: string, filter: RunFilter): Promise<readonly RunId[]> {
  const names = (await ifThere(readdir(runs))) ?? [];
  const meant = names.filter(isRunId).filter((runId) => matchesId(runId, filter));
  return meant.sort((left, right) => (left < right ? 1 : -1));
}

/** Ids tell the second alone: of those that began in one, all are read and put in order. */
async function listRuns(runs: string, filter: RunFilter): Promise<readonly StoredRun[]> {
  const { limit = Number.POSITIVE_INFINITY, cluster } = filter;
  const found: StoredRun[] = [];
  for (const runId of await idsIn(runs, filter)) {
    if (found.length >= limit && secondOf(runId) !== secondOf(found.at(-1)?.header.runId)) break;
    const run = await loadRun(runs, runId);
    if (typeof run === 'object' && (cluster === undefined || run.header.cluster === cluster)) found.push(run);
  }
  return found.sort((left, right) => Number(right.header.startedAt - left.header.startedAt)).slice(0, limit);
}

function secondOf(runId: RunId | undefined): string | undefined {
  return runId?.split('-')[0];
}

async function listDamaged(runs: string, among: number | undefined): Promise<readonly DamagedRun[]> {
  const damaged: DamagedRun[] = [];
  for (const runId of (await idsIn(runs, {})).slice(0, among)) {
    const run = await loadRun(runs, runId);
    if (typeof run === 'string') damaged.push({ runId, reason: run });
  }
  return damaged;
}

async function readRun(runs: string, runId: RunId): Promise<StoredRun> {
  const run = isRunId(runId) ? await loadRun(runs, runId) : undefined;
  if (run === undefined) throw notFound(runs, runId);
  if (typeof run === 'object') return run;
  throw new SpokeError('RUN_NOT_FOUND', `The run ${runId} cannot be read: ${run}.`, {
    details: { runId },
    hint: 'Set aside what cannot be read: spoke-backup runs rebuild',
  });
}

/** Undefined where the run is not there, or its header was never written: then it never began. A text says why it cannot be read. */
async function loadRun(runs: string, runId: RunId): Promise<StoredRun | string | undefined> {
  try {
    const headerText = await ifThere(readFile(join(runs, runId, HEADER), 'utf8'));
    if (headerText === undefined) return undefined;
    const header = headerOfText(headerText);
    if (header === undefined || header.runId !== runId) return `${HEADER} is damaged, or of a later version`;
    const journal = (await ifThere(readFile(join(runs, runId, JOURNAL), 'utf8'))) ?? '';
    return { header, entries: entriesOf(journal, header.startedAt) };
  } catch (thrown) {
    // Without the right to read, or descriptors to read with, nothing is said about the files themselves.
    if (['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(errnoOf(thrown) ?? '')) throw thrown;
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

async function createRun(runs: string, header: RunHeader): Promise<void> {
  const directory = directoryOf(runs, header.runId);
  await makeDirectory(directory);
  if (await isThere(join(directory, HEADER)))
    throw new SpokeError('INTERNAL', `the run ${header.runId} exists already and is never changed`);
  await writeFileInto(directory, HEADER, headerToText(header));
  await syncDirectory(runs);
}

async function appendEntry(runs: string, runId: RunId, entry: JournalEntry): Promise<void> {
  await requireRun(runs, runId);
  await appendLine(join(runs, runId, JOURNAL), entryToLine(entry));
}

/** By a rename, so that no reader ever sees half a run; what a crash left half removed goes with the next one. */
async function removeRuns(runs: string, runIds: readonly RunId[]): Promise<void> {
  for (const runId of runIds) await rename(directoryOf(runs, runId), join(runs, `${REMOVING}${runId}`));
  await syncDirectory(runs);
  for (const name of await readdir(runs)) if (name.startsWith(REMOVING)) await rm(join(runs, name), { recursive: true, force: true });
}

async function setAside(runs: string, aside: string, runId: RunId): Promise<string> {
  await makeDirectory(aside);
  const taken = new Set(await readdir(aside));
  let name: string = runId;
  for (let number = 2; taken.has(name); number += 1) name = `${runId}.${number}`;
  await rename(directoryOf(runs, runId), join(aside, name));
  await syncDirectory(aside);
  await syncDirectory(runs);
  return join(aside, name);
}

async function requestCancel(runs: string, runId: RunId, wanted: boolean): Promise<void> {
  await requireRun(runs, runId);
  if (wanted) await writeFileInto(join(runs, runId), CANCEL, '');
  else await removeIfThere(join(runs, runId, CANCEL));
}

async function writeFileInto(directory: string, name: string, content: string): Promise<void> {
  const temporary = await writeTemporary(directory, content);
  try {
    await rename(temporary, join(directory, name));
  } catch (thrown) {
    await removeIfThere(temporary);
    throw thrown;
  }
  await syncDirectory(directory);
}

function directoryOf(runs: string, runId: RunId): string {
  if (!isRunId(runId)) throw new SpokeError('INTERNAL', `"${runId as string}" is not a run id`);
  return join(runs, runId);
}

async function requireRun(runs: string, runId: RunId): Promise<void> {
  if (!isRunId(runId) || !(await isThere(join(runs, runId, HEADER)))) throw notFound(runs, runId);
}

async function isThere(path: string): Promise<boolean> {
  return (await ifThere(stat(path))) !== undefined;
}

async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

function notFound(runs: string, runId: string): SpokeError {
  return new SpokeError('RUN_NOT_FOUND', `There is no run ${JSON.stringify(runId)} in ${runs}.`, { details: { runId } });
}
