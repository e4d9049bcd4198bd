import { SpokeError } from '../../src/errors.ts';
import { formatInstantIso, instantOfMicros } from '../../src/domain/time/instant.ts';
import type { JournalEntry, RunHeader, RunId, RunLock, RunReader, RunWriter, StoredRun } from '../../src/ports/run-store.ts';
import type { FakeProcess } from './process.ts';
import type { FakeStoredRun, FakeWorld } from './world.ts';

export function fakeRunReader(process: FakeProcess): RunReader {
  const { world } = process;
  return {
    list: () =>
      process.read(() =>
        [...world.runs.keys()]
          .sort()
          .reverse()
          .map((runId) => readRun(world, runId)),
      ),
    read: (runId) => process.read(() => readRun(world, runId)),
  };
}

/** Entries go through text, as on disk: what does not survive JSON does not survive here. A torn last line is never read. */
export function fakeRunWriter(process: FakeProcess): RunWriter {
  const { world } = process;
  return {
    create: (header) =>
      process.change('create run', () => {
        if (world.runs.has(header.runId)) throw new SpokeError('INTERNAL', `the run ${header.runId} exists already`);
        world.runs.set(header.runId, { header: toText(header), lines: [], torn: false });
      }),
    append: (runId, entry) =>
      process.change(
        `append ${entry.kind}${'step' in entry ? ` ${entry.step}` : ''}`,
        () => appendLine(storedRun(world, runId), toText(entry), false),
        () => appendLine(storedRun(world, runId), toText(entry).slice(0, 20), true),
      ),
  };
}

function appendLine(run: FakeStoredRun, line: string, torn: boolean): void {
  if (run.torn) run.lines.pop();
  run.lines.push(line);
  run.torn = torn;
}

function storedRun(world: FakeWorld, runId: RunId): FakeStoredRun {
  const run = world.runs.get(runId);
  if (run === undefined) throw new SpokeError('RUN_NOT_FOUND', `There is no run ${runId}.`);
  return run;
}

function readRun(world: FakeWorld, runId: string): StoredRun {
  const run = storedRun(world, runId as RunId);
  const lines = run.torn ? run.lines.slice(0, -1) : run.lines;
  return { header: fromText(run.header) as unknown as RunHeader, entries: lines.map((line) => fromText(line) as unknown as JournalEntry) };
}

function toText(value: object): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}

function fromText(text: string): Record<string, unknown> {
  const read = JSON.parse(text) as Record<string, unknown>;
  for (const name of ['at', 'startedAt']) if (typeof read[name] === 'string') read[name] = instantOfMicros(BigInt(read[name]));
  return read;
}

export function fakeRunLock(process: FakeProcess): RunLock {
  const { world } = process;
  return {
    acquire: (key, holder) =>
      process.change(`lock ${key}`, () => {
        const held = world.locks.get(key);
        if (held?.isAlive() === true)
          throw new SpokeError('LOCKED', `${key} is in use by the run ${held.holder.runId}`, {
            details: { ...held.holder, since: formatInstantIso(held.holder.since) },
          });
        const mine = { holder, isAlive: () => process.isAlive };
        world.locks.set(key, mine);
        const release = () =>
          process.change(`unlock ${key}`, () => {
            if (world.locks.get(key) === mine) world.locks.delete(key);
          });
        return { release };
      }),
  };
}
