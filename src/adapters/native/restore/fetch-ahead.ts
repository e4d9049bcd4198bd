import { type FSWatcher, watch } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { namesAfter } from '../../../domain/native/wal-ahead.ts';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ReplayPlace } from './replay-place.ts';
import { answerOf, NOT_THERE_ANSWER } from './wal-answer.ts';

/** Notices come from the file system; this is for those that never come. */
const LOOK_AGAIN_MS = 250;

export interface FetchAheadOptions {
  readonly place: ReplayPlace;
  readonly atOnce: number;
  /** As WalFetcher.fetch. */
  fetch(name: string, path: string, context: OperationContext): Promise<number | undefined>;
  /** Whether it is still this one that the server beside asks; false ends it. */
  isWanted(): Promise<boolean>;
}

/** What is being fetched. */
interface Fetching {
  /** Somebody waits for it. */
  isAsked: boolean;
  /** Somebody began to wait when it was under way: that it is not there has to be looked at again. */
  isAskedLate: boolean;
  readonly done: Promise<void>;
}

/**
 * Answers the server's restore_command (spoke-wal-get -a), and fetches what it will ask for next. Only what is asked for gets an answer: that
 * something is not there, or cannot be read, is looked at again when it is asked for. Resolves when `signal` is aborted and nothing is under way.
 */
export async function fetchAhead(options: FetchAheadOptions, signal: AbortSignal): Promise<void> {
  const { place } = options;
  const state = { position: '', notBefore: '', segmentBytes: 0, ready: new Set<string>(), fetching: new Map<string, Fetching>() };
  const notices = watchFor([place.wanted, place.ready], signal);
  try {
    while (!signal.aborted && (await options.isWanted())) {
      await lookAtWanted();
      await lookAtReady();
      beginNext();
      await notices.next();
    }
  } finally {
    notices.close();
    await Promise.all([...state.fetching.values()].map(({ done }) => done));
  }

  async function lookAtWanted(): Promise<void> {
    for (const name of await readdir(place.wanted)) {
      const underWay = state.fetching.get(name);
      if (underWay === undefined) begin(name, true);
      else if (!underWay.isAsked) Object.assign(underWay, { isAsked: true, isAskedLate: true });
      if (isWalSegmentName(name)) state.position = name;
      state.notBefore = '';
    }
  }

  /** What is not there any more was taken. What is of no use any more goes. */
  async function lookAtReady(): Promise<void> {
    const there = new Set(await readdir(place.ready));
    for (const name of state.ready) {
      if (there.has(name)) continue;
      state.ready.delete(name);
      if (isWalSegmentName(name)) state.position = name;
    }
    const next = new Set<string>(namesAfter(state.position, state.segmentBytes));
    for (const name of state.ready)
      if (isWalSegmentName(name) && name !== state.position && !next.has(name)) {
        state.ready.delete(name);
        await rm(join(place.ready, name), { force: true });
      }
  }

  function beginNext(): void {
    for (const name of namesAfter(state.position, state.segmentBytes)) {
      if (state.fetching.size >= options.atOnce || name === state.notBefore) return;
      if (!state.ready.has(name) && !state.fetching.has(name)) begin(name, false);
    }
  }

  function begin(name: string, isAsked: boolean): void {
    const done = Promise.resolve()
      .then(() => work(name))
      .finally(() => {
        state.fetching.delete(name);
        notices.wake();
      });
    state.fetching.set(name, { isAsked, isAskedLate: false, done });
  }

  function cameOf(name: string) {
    return (sizeBytes: number | undefined) => {
      if (sizeBytes === undefined) return NOT_THERE_ANSWER;
      if (isWalSegmentName(name)) state.segmentBytes = sizeBytes;
      return undefined;
    };
  }

  async function work(name: string): Promise<void> {
    const path = join(place.begun, name);
    const fetching = () => state.fetching.get(name);
    const attempt = () => options.fetch(name, path, { signal }).then(cameOf(name), answerOf);
    await rm(path, { force: true });
    let answer = await attempt();
    if (answer !== undefined && fetching()?.isAskedLate === true) answer = await attempt();
    if (signal.aborted) return;
    const isAsked = fetching()?.isAsked === true;
    // Before the answer: the next question has the same name.
    if (isAsked) await rm(join(place.wanted, name), { force: true });
    if (answer === undefined) {
      await rename(path, join(place.ready, name));
      // Not before: what is noted and not there counts as taken, and what lies before that is of no use any more.
      state.ready.add(name);
    } else if (isAsked) await place.answer(name, answer);
    else state.notBefore = name;
  }
}

function watchFor(directories: readonly string[], signal: AbortSignal) {
  let wake = () => {};
  let isDue = false;
  const notice = () => {
    isDue = true;
    wake();
  };
  const watchers: FSWatcher[] = directories.map((directory) => watch(directory, { persistent: false }, notice).on('error', notice));
  signal.addEventListener('abort', notice, { once: true });
  return {
    wake: notice,
    async next(): Promise<void> {
      if (!isDue) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        await promise;
        clearTimeout(timer);
      }
      isDue = false;
    },
    close() {
      signal.removeEventListener('abort', notice);
      for (const watcher of watchers) watcher.close();
    },
  };
}
