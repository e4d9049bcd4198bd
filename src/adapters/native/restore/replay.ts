import { rm } from 'node:fs/promises';
import type { Replay } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { type NativeParts, repositoryOf } from '../parts.ts';
import { fetchAhead } from './fetch-ahead.ts';
import { createWalFetcher } from './fetch-wal-file.ts';
import { makeReplayPlace } from './replay-place.ts';
import { replayPlaceOf } from './work-files.ts';

/** Requests to a store take turns with replay for the network alone; what is decompressed here takes processor time from it. */
const AT_ONCE = { local: 2, s3: 4 } as const;

interface Running {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** Of this process, by the place where each meets its server: an engine may be built anew while its restore is under way. */
const running = new Map<string, Running>();

/** Fetches WAL ahead of a server until endReplay. It is this process that does: should it be killed, the server's restore_command goes on alone. */
export async function beginReplay(parts: NativeParts, replay: Replay): Promise<void> {
  const root = replayPlaceOf(replay);
  if (running.has(root)) return;
  const stop = new AbortController();
  const started = Promise.withResolvers<void>();
  running.set(root, { stop, ended: started.promise });
  try {
    const { kind, open } = repositoryOf(parts.settings, replay.repository);
    const { fetch } = createWalFetcher(parts, { store: await open(), owner: parts.settings.user });
    const place = await makeReplayPlace(parts, root);
    await place.claim();
    const ended = fetchAhead({ place, fetch, atOnce: AT_ONCE[kind], isWanted: place.isMine }, stop.signal)
      .catch(() => undefined)
      // However it ended: the server's restore_command sees that nobody is there any more.
      .finally(() => place.disclaim())
      .finally(() => running.delete(root));
    running.set(root, { stop, ended });
  } catch (thrown) {
    running.delete(root);
    throw thrown;
  } finally {
    started.resolve();
  }
}

export async function endReplay(replay: Pick<Replay, 'workDirectory'>, _context: OperationContext): Promise<void> {
  const root = replayPlaceOf(replay);
  const found = running.get(root);
  found?.stop.abort();
  await found?.ended;
  await rm(root, { recursive: true, force: true });
}
