import { chown, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { throwIfCancelled } from './cancelled.ts';
import { translating } from './file-error.ts';
import type { NativeParts } from './parts.ts';

const CONFLICT = 75;
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
  const taken = Promise.withResolvers<boolean>();
  const released = Promise.withResolvers<void>();
  const holding = parts.runner.run({
    file: 'flock',
    argv: ['--nonblock', '--conflict-exit-code', String(CONFLICT), path, 'cat'],
    inputStream: heldUntil(released.promise),
    onLine: () => taken.resolve(true),
    signal: new AbortController().signal,
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
    released.resolve();
    await ended;
  };
  if (!(await taken.promise)) {
    await release();
    return undefined;
  }
  if (signal.aborted) await release();
  throwIfCancelled(signal);
  return { release };
}

/** One line, which `cat` shows as soon as the lock is held; its end is the end of the lock. */
async function* heldUntil(released: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from('held\n');
  await released;
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
