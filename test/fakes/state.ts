import { SpokeError } from '../../src/errors.ts';
import { type Claim, conflicts } from '../../src/domain/concurrency/matrix.ts';
import type { LeaseHolder } from '../../src/domain/lease/lease-document.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';
import type { LeaseStore } from '../../src/ports/lease.ts';
import type { PinReader, PinWriter } from '../../src/ports/pin-store.ts';
import type {
  JournalEntry,
  RunFilter,
  RunHeader,
  RunId,
  RunProcesses,
  RunReader,
  RunWriter,
  StoredRun,
} from '../../src/ports/run-store.ts';
import type { FakeProcess } from './process.ts';
import type { FakeLease, FakeStoredRun, FakeWorld } from './world.ts';

export function fakeRunReader(process: FakeProcess): RunReader {
  const { world } = process;
  return {
    list: ({ cluster, limit, ...filter } = {}) =>
      process.read(() => {
        const runs = idsOf(world, filter).map((runId) => readRun(world, runId));
        const meant = runs.filter(({ header }) => cluster === undefined || header.cluster === cluster);
        return meant.sort((left, right) => Number(right.header.startedAt - left.header.startedAt)).slice(0, limit);
      }),
    listIds: (filter = {}) => process.read(() => idsOf(world, filter)),
    listDamaged: () => process.read(() => []),
    isCancelRequested: (runId) => process.read(() => world.cancelRequests.has(runId)),
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
    remove: (runIds) =>
      process.change('remove runs', () => {
        for (const runId of runIds) world.runs.delete(runId);
      }),
    setAside: (runId) =>
      process.change('set run aside', () => {
        world.runs.delete(runId);
        return `/aside/${runId}`;
      }),
    requestCancel: (runId, wanted) =>
      process.change('request cancel', () => void (wanted ? world.cancelRequests.add(runId) : world.cancelRequests.delete(runId))),
  };
}

function idsOf(world: FakeWorld, { verbs, startedSince }: RunFilter): readonly RunId[] {
  const isMeant = ({ verb, startedAt }: RunHeader) =>
    (verbs === undefined || verbs.includes(verb)) && (startedSince === undefined || startedAt >= startedSince);
  const ids = [...world.runs.keys()].sort().reverse() as RunId[];
  return ids.filter((runId) => isMeant(readRun(world, runId).header));
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

export function fakePinReader(process: FakeProcess): PinReader {
  const { world } = process;
  return { list: (cluster) => process.read(() => world.pins.get(cluster) ?? []) };
}

export function fakePinWriter(process: FakeProcess): PinWriter {
  const { world } = process;
  const others = (cluster: string, repository: string, label: string) =>
    (world.pins.get(cluster) ?? []).filter((pin) => pin.repository !== repository || pin.label !== label);
  return {
    save: (cluster, pin) =>
      process.change('save pin', () => void world.pins.set(cluster, [...others(cluster, pin.repository, pin.label), pin])),
    remove: (cluster, repository, label) =>
      process.change('remove pin', () => void world.pins.set(cluster, others(cluster, repository, label))),
  };
}

export function fakeLeases(process: FakeProcess): LeaseStore {
  const { world } = process;
  const isInTheWay = (held: FakeLease, claim: Claim, holder: LeaseHolder) =>
    held.isAlive() && (conflicts(held.claim, claim) || held.holder.name === holder.name);
  return {
    place: 'the memory of the test',
    tryAcquire: (claim, holder) =>
      process.change(`claim ${claim.verb}`, () => {
        const by = [...world.leases.values()].find((held) => isInTheWay(held, claim, holder));
        if (by !== undefined) return { kind: 'held', by };
        world.lastEpoch += 1;
        const epoch = world.lastEpoch;
        for (const [other, held] of world.leases) if (!held.isAlive()) world.leases.delete(other);
        world.leases.set(epoch, { claim, holder, epoch, isAlive: () => process.isAlive });
        const release = () => process.change(`release ${claim.verb}`, () => void world.leases.delete(epoch));
        return { kind: 'acquired', lease: { epoch, goodUntilMs: () => Infinity, renew: () => Promise.resolve(), release } };
      }),
    list: () => process.read(() => [...world.leases.values()].filter((held) => held.isAlive())),
  };
}

/** The one process of a world that holds a run's lease; a signal ends it at once. */
export function fakeRunProcesses(process: FakeProcess): RunProcesses {
  const { world } = process;
  const leasesOf = (runId: RunId) => [...world.leases].filter(([, held]) => held.holder.name === runId && held.isAlive());
  return {
    find: (runId) =>
      process.read(() => {
        const holder = leasesOf(runId)[0]?.[1].holder;
        return holder === undefined ? undefined : { pid: holder.pid, host: holder.host, place: 'here', isService: false };
      }),
    terminate: (runId) =>
      process.change('signal', () => {
        const held = leasesOf(runId);
        for (const [epoch] of held) world.leases.delete(epoch);
        return held.length > 0;
      }),
  };
}
