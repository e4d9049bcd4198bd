import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { endReadingAheadArguments, lockPathOf } from './arguments.ts';
import { type CommandParts, runWorking } from './command.ts';

const PATIENCE_MS = 10_000;
const POLL_MS = 20;
/** 2.45 and 2.55 write JSON into a lock file, older ones the number alone on its first line. */
const HOLDER = /"pid":(\d+)|^(\d+)$/m;

/**
 * Ends the processes that fetch WAL ahead of a replay. pgBackRest's own `stop --force` tells them by their locks, which lie in the work
 * directory of this restore and nowhere else; it does not wait for them, so we do. Throws TIMED_OUT.
 */
export async function endReadingAhead(
  parts: CommandParts & { readonly clock: Clock },
  workDirectory: string,
  context: OperationContext,
): Promise<void> {
  const holders = await lockHolders(lockPathOf(workDirectory));
  if (holders.length === 0) return;
  for (const argv of endReadingAheadArguments(parts.settings, workDirectory)) await runWorking(parts, argv, {}, context);
  await untilGone(holders, parts.clock, context);
}

async function lockHolders(directory: string): Promise<readonly number[]> {
  const names = await readdir(directory).catch(() => []);
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.lock')).map((name) => readFile(join(directory, name), 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => {
    const found = HOLDER.exec(text);
    return found === null ? [] : [Number(found[1] ?? found[2])];
  });
}

async function untilGone(pids: readonly number[], clock: Clock, context: OperationContext): Promise<void> {
  const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
  while (pids.some(exists)) {
    if (clock.monotonicMs() > deadlineMs)
      throw new SpokeError(
        'TIMED_OUT',
        `pgBackRest still fetches WAL ahead (pid ${pids.filter(exists).join(', ')}) and did not end within ${PATIENCE_MS / 1000} s`,
      );
    await clock.sleep(POLL_MS, context.signal);
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
