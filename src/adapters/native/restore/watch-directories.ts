import { type FSWatcher, watch } from 'node:fs';

/** Notices come from the file system; this is for those that never come. */
const LOOK_AGAIN_MS = 250;

export interface Notices {
  /** Resolves once something may have changed since it last resolved. */
  readonly next: () => Promise<void>;
  readonly wake: () => void;
  readonly close: () => void;
}

/** Keeps nothing alive by itself. */
export function watchDirectories(directories: readonly string[], signal: AbortSignal): Notices {
  let resolveNext = () => {};
  let isDue = false;
  const wake = () => {
    isDue = true;
    resolveNext();
  };
  const watchers: FSWatcher[] = directories.map((directory) => watch(directory, { persistent: false }, wake).on('error', wake));
  signal.addEventListener('abort', wake, { once: true });
  return {
    wake,
    async next() {
      if (!isDue) {
        const { promise, resolve } = Promise.withResolvers<void>();
        resolveNext = resolve;
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        await promise;
        clearTimeout(timer);
      }
      isDue = false;
    },
    close() {
      signal.removeEventListener('abort', wake);
      for (const watcher of watchers) watcher.close();
    },
  };
}
