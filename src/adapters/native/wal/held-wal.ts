import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldWal, WaitingWal } from '../../../domain/health/archive-facts.ts';
import { walFileOfStored } from '../../../domain/native/layout.ts';
import { instantOfMicros } from '../../../domain/time/instant.ts';
import type { NativeSettings } from '../settings.ts';
import { destinationsOf, homeOf, todoOf } from './places.ts';
import { createTodo, ifThere } from './todo.ts';

/** As many as a look can use; the rest is counted. */
const MOST_DATED = 1000;

/** What home has and the others lack, by the hints that spoke-wal-push and the shipper have left. */
export async function readHeldWal(settings: NativeSettings): Promise<readonly HeldWal[]> {
  const from = homeOf(settings).repository?.name;
  return Promise.all(
    destinationsOf(settings).map(async ({ name }) => {
      const directory = todoOf(settings, name);
      const names = await createTodo(directory)
        .list()
        .catch(() => []);
      const dated = await Promise.all(names.slice(0, MOST_DATED).map((stored) => waitingSince(directory, stored)));
      const waiting = dated.filter((one) => one !== undefined);
      return {
        repository: name,
        queue: { count: waiting.length + names.length - dated.length, waiting },
        ...(from === undefined ? {} : { from }),
      };
    }),
  );
}

/** Undefined for what has been done meanwhile. */
async function waitingSince(directory: string, stored: string): Promise<WaitingWal | undefined> {
  const file = walFileOfStored(stored);
  const facts = await ifThere(stat(join(directory, stored), { bigint: true }), undefined);
  return file === undefined || facts === undefined ? undefined : { file, since: instantOfMicros(facts.mtimeNs / 1000n) };
}
