import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ReplayPlace } from './replay-place.ts';
import { answerOf, NOT_THERE_ANSWER, type WalAnswer } from './wal-answer.ts';

export interface FetchesOptions {
  readonly place: ReplayPlace;
  /** As WalFetcher.fetch. */
  fetch(name: string, path: string, context: OperationContext): Promise<number | undefined>;
}

/** What is under way. */
interface Fetching {
  /** Somebody waits for it. */
  isAsked: boolean;
  /** Somebody began to wait when it was under way: that it is not there has to be looked at again. */
  isAskedLate: boolean;
  readonly done: Promise<void>;
}

/** The files that are being fetched, and those that lie ready. */
export interface Fetches {
  /** What lies ready by our doing. */
  readonly ready: Set<string>;
  /** Somebody waits for it: it is fetched, now or anew, and an answer is given. */
  ask(name: string): void;
  /** Ahead of being asked for. Nothing where it is under way. */
  begin(name: string): void;
  /** False for a file that could not be brought ahead of time, until something is asked for. */
  isWorthFetching(name: string): boolean;
  count(): number;
  /** Of the last segment that came; 0 before. */
  segmentBytes(): number;
  settled(): Promise<void>;
}

/** `onChange`: called when one has ended. */
export function createFetches({ place, fetch }: FetchesOptions, onChange: () => void, signal: AbortSignal): Fetches {
  const ready = new Set<string>();
  const underWay = new Map<string, Fetching>();
  let segmentBytes = 0;
  let inVain = '';
  return {
    ready,
    ask(name) {
      inVain = '';
      const fetching = underWay.get(name);
      if (fetching === undefined) start(name, true);
      else if (!fetching.isAsked) Object.assign(fetching, { isAsked: true, isAskedLate: true });
    },
    begin(name) {
      if (!underWay.has(name)) start(name, false);
    },
    isWorthFetching: (name) => name !== inVain,
    count: () => underWay.size,
    segmentBytes: () => segmentBytes,
    settled: async () => void (await Promise.all([...underWay.values()].map(({ done }) => done))),
  };

  function start(name: string, isAsked: boolean): void {
    const done = Promise.resolve()
      .then(() => work(name))
      .finally(() => {
        underWay.delete(name);
        onChange();
      });
    underWay.set(name, { isAsked, isAskedLate: false, done });
  }

  async function work(name: string): Promise<void> {
    const path = join(place.begun, name);
    await rm(path, { force: true });
    let answer = await attempt(name, path);
    if (answer !== undefined && underWay.get(name)?.isAskedLate === true) answer = await attempt(name, path);
    if (signal.aborted) return;
    const isAsked = underWay.get(name)?.isAsked === true;
    // Before the answer: the next question may have the same name.
    if (isAsked) await rm(join(place.wanted, name), { force: true });
    if (answer === undefined) {
      await rename(path, join(place.ready, name));
      // Not before: what is noted and not there counts as taken, and what lies before that is of no use any more.
      ready.add(name);
    } else if (isAsked) await place.answer(name, answer);
    else inVain = name;
  }

  /** Undefined where it came. */
  async function attempt(name: string, path: string): Promise<WalAnswer | undefined> {
    try {
      const sizeBytes = await fetch(name, path, { signal });
      if (sizeBytes === undefined) return NOT_THERE_ANSWER;
      if (isWalSegmentName(name)) segmentBytes = sizeBytes;
      return undefined;
    } catch (thrown) {
      return answerOf(thrown);
    }
  }
}
