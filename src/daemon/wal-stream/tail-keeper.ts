import type { RepositoryConfig } from '../../config/model.ts';
import type { WalArchive } from '../../domain/catalog/wal-archive.ts';
import { rangeContaining } from '../../domain/catalog/wal-archive.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import { decideTail, storedName } from '../../domain/streaming/decide-tail.ts';
import type { LocalSegment, LocalWal, TailObject } from '../../domain/streaming/local-wal.ts';
import type { Instant } from '../../domain/time/instant.ts';
import { asSpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { TailStore, WalStream } from '../../ports/wal-stream.ts';
import { Alarm } from '../alarm.ts';

export interface TailKeeperParts {
  readonly repository: RepositoryConfig;
  readonly everySeconds: number;
  readonly clock: Clock;
  readonly stream: WalStream;
  open(signal: AbortSignal): Promise<TailStore>;
  look(): Promise<LocalWal>;
  /** Whether the receiver streams. */
  isCurrent(): boolean;
  /** The last listings of the archives beside which the tail lies: two engines may keep theirs in one place. Undefined before the first. */
  archives(): readonly (WalArchive | undefined)[];
  /** The last file that PostgreSQL counts as archived, where that means that this repository has it. */
  lastArchivedWal(): string | undefined;
  note(level: 'info' | 'warning', message: string): void;
}

const RETRY_MS = [5_000, 15_000, 60_000] as const;
/** After a turn it rests for so many times as long as that took: large segments and slow stores are copied less often. */
const REST = 4;
/** Not longer: what waits meanwhile would be lost with this machine and the primary. */
const LONGEST_REST_MS = 15_000;
/** What one repository may take to store one segment. */
const PUT_TIMEOUT_MS = 10 * 60_000;

/** Keeps the tail of one repository: so one that is down holds up no other. */
export class TailKeeper {
  readonly #parts: TailKeeperParts;
  readonly #alarm: Alarm;
  #store: TailStore | undefined;
  #objects: readonly TailObject[] = [];
  #stored = new Map<string, number>();
  #announcedAt: Instant | undefined;
  #failures = 0;

  constructor(parts: TailKeeperParts) {
    this.#parts = parts;
    this.#alarm = new Alarm(parts.clock);
  }

  /** Until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everySeconds } = this.#parts;
    const isOver = () => signal.aborted;
    while (!isOver()) {
      const begunMs = clock.monotonicMs();
      try {
        await this.#turn(signal);
        if (this.#failures > 0) this.#parts.note('info', `streamed WAL reaches repository ${this.#parts.repository.name} again`);
        this.#failures = 0;
        const tookMs = clock.monotonicMs() - begunMs;
        await this.#alarm.sleep(Math.max(everySeconds * 1000 - tookMs, Math.min(REST * tookMs, LONGEST_REST_MS)), signal);
      } catch (thrown) {
        this.#forget();
        if (!isOver()) await this.#failed(thrown, signal);
      }
    }
    this.#forget();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { clock, repository, stream, isCurrent } = this.#parts;
    const store = await this.#opened(signal);
    const wasCurrent = isCurrent();
    const local = await this.#parts.look();
    const decision = decideTail({
      local,
      isCurrent: wasCurrent && isCurrent(),
      stored: this.#stored,
      objects: this.#objects,
      isAcknowledged: (segment) => isUpTo(this.#parts.lastArchivedWal(), segment),
      isArchived: (name) => this.#parts.archives().every((archive) => isIn(archive, name)),
      ...(this.#announcedAt === undefined ? {} : { announcedAt: this.#announcedAt }),
      keepDays: repository.retention.days,
      now: clock.now(),
    });
    const context = { signal, timeoutMs: PUT_TIMEOUT_MS };
    let hasAll = true;
    for (const segment of decision.put) {
      const content = await stream.open(segment);
      // Discarded meanwhile, since the archives have it; the next turn knows that, too.
      if (content === undefined) hasAll = false;
      else {
        await store.put(segment, content, context);
        this.#stored.set(storedName(segment), segment.writtenBytes);
      }
    }
    if (decision.announce !== undefined && hasAll) {
      await store.announce(decision.announce, context);
      this.#announcedAt = clock.now();
    }
    const isListed = ({ name, isWhole }: LocalSegment) =>
      this.#objects.some((object) => object.segment === name && object.isWhole === isWhole);
    if (!decision.put.every(isListed)) this.#objects = await store.list(context);
    if (decision.remove.length === 0) return;
    await store.remove(decision.remove, context);
    this.#objects = this.#objects.filter((object) => !decision.remove.includes(object));
  }

  /** What an earlier daemon has stored is listed; how much of it, it stores once more. */
  async #opened(signal: AbortSignal): Promise<TailStore> {
    if (this.#store !== undefined) return this.#store;
    this.#store = await this.#parts.open(signal);
    this.#objects = await this.#store.list({ signal });
    return this.#store;
  }

  /** Credentials may have changed, and whether the last object came to be is not known. */
  #forget(): void {
    this.#store?.close();
    this.#store = undefined;
    this.#stored = new Map();
  }

  async #failed(thrown: unknown, signal: AbortSignal): Promise<void> {
    const pauseMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 60_000;
    if (this.#failures === 0)
      this.#parts.note('warning', `streamed WAL does not reach repository ${this.#parts.repository.name}: ${asSpokeError(thrown).message}`);
    this.#failures += 1;
    await this.#alarm.sleep(pauseMs, signal);
  }
}

/** The archiver goes by name; a segment of an older timeline that it has left behind it may not have had. */
function isUpTo(lastArchivedWal: string | undefined, { name, isWhole }: LocalSegment): boolean {
  if (lastArchivedWal === undefined || !isWhole || !/^[0-9A-F]{24}$/.test(lastArchivedWal)) return false;
  return lastArchivedWal.slice(0, 8) === name.slice(0, 8) && lastArchivedWal >= name;
}

function isIn(archive: WalArchive | undefined, name: string): boolean {
  if (archive === undefined) return false;
  const { timeline, segmentNumber } = parseWalSegmentName(name, archive.segmentSizeBytes);
  return rangeContaining(archive, timeline, segmentNumber) !== undefined;
}
