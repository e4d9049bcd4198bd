import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { namesAfter } from '../../../domain/native/wal-ahead.ts';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { createFetches, type FetchesOptions } from './fetches.ts';
import { watchDirectories } from './watch-directories.ts';

export interface FetchAheadOptions extends FetchesOptions {
  readonly atOnce: number;
  /** Whether it is still this one that the server beside asks; false ends it. */
  isWanted(): Promise<boolean>;
}

/**
 * Answers the server's restore_command (spoke-wal-get -a), and fetches what it will ask for next. Only what is asked for gets an answer: that
 * something is not there, or cannot be read, is looked at again when it is asked for. Resolves when `signal` is aborted and nothing is under way.
 */
export async function fetchAhead(options: FetchAheadOptions, signal: AbortSignal): Promise<void> {
  const { place } = options;
  const notices = watchDirectories([place.wanted, place.ready], signal);
  const fetches = createFetches(options, notices.wake, signal);
  /** The segment that was asked for, or taken, last. */
  let position = '';
  try {
    while (!signal.aborted && (await options.isWanted())) {
      await lookAtWanted();
      await lookAtReady();
      beginNext();
      await notices.next();
    }
  } finally {
    notices.close();
    await fetches.settled();
  }

  async function lookAtWanted(): Promise<void> {
    for (const name of await readdir(place.wanted)) {
      fetches.ask(name);
      if (isWalSegmentName(name)) position = name;
    }
  }

  /** What is not there any more was taken. What is of no use any more goes. */
  async function lookAtReady(): Promise<void> {
    const there = new Set(await readdir(place.ready));
    for (const name of fetches.ready) {
      if (there.has(name)) continue;
      fetches.ready.delete(name);
      if (isWalSegmentName(name)) position = name;
    }
    const next = new Set<string>([position, ...namesAfter(position, fetches.segmentBytes())]);
    for (const name of fetches.ready)
      if (isWalSegmentName(name) && !next.has(name)) {
        fetches.ready.delete(name);
        await rm(join(place.ready, name), { force: true });
      }
  }

  function beginNext(): void {
    for (const name of namesAfter(position, fetches.segmentBytes()))
      if (fetches.count() >= options.atOnce || !fetches.isWorthFetching(name)) return;
      else if (!fetches.ready.has(name)) fetches.begin(name);
  }
}
