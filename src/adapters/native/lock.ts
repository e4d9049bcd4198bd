import { chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { throwIfCancelled } from './cancelled.ts';
import { translating } from './file-error.ts';
import type { NativeParts } from './parts.ts';

const CONFLICT = 75;
const HELD = 'held\n';
/** What a killed backup has started is gone within this; a living one holds the lock for longer. */
const PATIENCE_MS = 45_000;
const PAUSE_MS = 1_000;
const LONGEST_MS = 7 * 86_400_000;

type LockParts = Pick<NativeParts, 'settings' | 'runner' | 'clock'>;

/**
 * Does something that only one at a time may do to the repositories of a cluster, of all that run on this host. Waits for as long as what a
 * killed one has left may hold the lock, then throws LOCKED. The kernel holds it for a process that lives as long as we need it (flock(2)): it
 * is free again however we end.
 */
export async function whileLocked<T>(parts: LockParts, context: OperationContext, work: () => Promise<T>): Promise<T> {
  const startedMs = parts.clock.monotonicMs();
  for (;;) {
    const lock = await takeLock(parts, context.signal);
    if (lock !== undefined) {
      try {
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (parts.clock.monotonicMs() - startedMs >= PATIENCE_MS)
      throw new SpokeError('LOCKED', `another process works on the backups of cluster ${parts.settings.cluster}`, {
        details: { lockFile: lockFileOf(parts) },
      });
    context.onProgress?.({ phase: 'waiting for another backup or expiry to end' });
    await parts.clock.sleep(PAUSE_MS, context.signal);
  }
}

/** Undefined where another one holds it. */
async function takeLock(parts: LockParts, signal: AbortSignal): Promise<{ release(): Promise<void> } | undefined> {
  const path = lockFileOf(parts);
  await makeOwnDirectory(parts, parts.settings.directory);
  await translating(`write ${path}`, () => writeFile(path, HELD, { mode: 0o600 }));
  const taken = Promise.withResolvers<boolean>();
  const releasing = new AbortController();
  const holding = parts.runner.run({
    file: 'flock',
    // Shows what the file holds as soon as the lock is held, and then waits for more for ever.
    argv: ['--nonblock', '--conflict-exit-code', String(CONFLICT), path, 'tail', '--follow', '--lines=1', path],
    onLine: (_line, stream) => stream === 'stdout' && taken.resolve(true),
    signal: releasing.signal,
    timeoutMs: LONGEST_MS,
  });
  const ended = holding.then(
    ({ exitCode, stderrTail }) => {
      if (exitCode === CONFLICT) taken.resolve(false);
      else taken.reject(new SpokeError('TOOL_FAILED', `flock ${path} ended with exit code ${exitCode}: ${stderrTail.trim()}`));
    },
    (thrown: unknown) => taken.reject(asSpokeError(thrown)),
  );
  const release = async () => {
    releasing.abort();
    await ended;
  };
  if (!(await taken.promise)) return undefined;
  if (signal.aborted) await release();
  throwIfCancelled(signal);
  return { release };
}

function lockFileOf({ settings }: LockParts): string {
  return join(settings.directory, 'lock');
}

/** With its parents, of the user that PostgreSQL's programs run as, who has to get through them. Idempotent. */
export async function makeOwnDirectory({ settings }: Pick<NativeParts, 'settings'>, path: string, mode = 0o755): Promise<void> {
  await translating(`make ${path}`, async () => {
    const first = await mkdir(path, { recursive: true, mode });
    if (first === undefined || settings.user === undefined || process.getuid?.() !== 0) return;
    for (let made = path; made.startsWith(first); made = dirname(made)) await chown(made, settings.user.uid, settings.user.gid);
  });
}
