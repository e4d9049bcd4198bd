import { readFile, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { JournalEntry, RunHeader, RunId, RunReader, RunWriter, StoredRun } from '../../ports/run-store.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf, translating } from './file-error.ts';
import { appendLine, entriesOf } from './journal-file.ts';
import { isRunId } from './run-id.ts';
import { entryToLine, headerOfText, headerToText } from './run-json.ts';

const HEADER = 'header.json';
const JOURNAL = 'journal.jsonl';

/**
 * Runs as files: `<stateDirectory>/runs/<run id>/header.json`, written once, and `journal.jsonl`, one line an entry, only
 * ever added to. Whoever appends holds the run's lock; readers need none.
 */
export function createRunStore(stateDirectory: string): RunReader & RunWriter {
  const runs = join(stateDirectory, 'runs');
  const appending = new Map<RunId, Promise<void>>();
  return {
    list: () => translating(`list the runs in ${runs}`, () => listRuns(runs)),
    read: (runId) => translating(`read the run ${runId}`, () => readRun(runs, runId)),
    create: (header) => translating(`write the run ${header.runId}`, () => createRun(runs, header)),
    append(runId, entry) {
      const before = appending.get(runId) ?? Promise.resolve();
      const after = before
        .catch(() => undefined)
        .then(() => translating(`write to the journal of ${runId}`, () => appendEntry(runs, runId, entry)));
      appending.set(runId, after);
      return after;
    },
  };
}

async function listRuns(runs: string): Promise<readonly StoredRun[]> {
  const names = (await ifThere(readdir(runs))) ?? [];
  const newestFirst = names.filter(isRunId).sort((left, right) => (left < right ? 1 : -1));
  const found: StoredRun[] = [];
  for (const runId of newestFirst) {
    const run = await loadRun(runs, runId);
    if (run !== undefined) found.push(run);
  }
  return found;
}

async function readRun(runs: string, runId: RunId): Promise<StoredRun> {
  const run = isRunId(runId) ? await loadRun(runs, runId) : undefined;
  if (run === undefined) throw notFound(runs, runId);
  return run;
}

/** Undefined where the run is not there, or its header was never written whole: then it never began. */
async function loadRun(runs: string, runId: RunId): Promise<StoredRun | undefined> {
  const headerText = await ifThere(readFile(join(runs, runId, HEADER), 'utf8'));
  const header = headerText === undefined ? undefined : headerOfText(headerText);
  if (header === undefined || header.runId !== runId) return undefined;
  const journal = (await ifThere(readFile(join(runs, runId, JOURNAL), 'utf8'))) ?? '';
  return { header, entries: entriesOf(journal, header.startedAt) };
}

async function createRun(runs: string, header: RunHeader): Promise<void> {
  if (!isRunId(header.runId)) throw new SpokeError('INTERNAL', `"${header.runId}" is not a run id`);
  const directory = join(runs, header.runId);
  await makeDirectory(directory);
  if ((await ifThere(stat(join(directory, HEADER)))) !== undefined)
    throw new SpokeError('INTERNAL', `the run ${header.runId} exists already and is never changed`);
  const temporary = await writeTemporary(directory, headerToText(header));
  try {
    await rename(temporary, join(directory, HEADER));
  } catch (thrown) {
    await removeIfThere(temporary);
    throw thrown;
  }
  await syncDirectory(directory);
  await syncDirectory(runs);
}

async function appendEntry(runs: string, runId: RunId, entry: JournalEntry): Promise<void> {
  if (!isRunId(runId) || (await ifThere(stat(join(runs, runId, HEADER)))) === undefined) throw notFound(runs, runId);
  await appendLine(join(runs, runId, JOURNAL), entryToLine(entry));
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
