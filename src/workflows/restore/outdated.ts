import { secondsBetween, type Instant } from '../../domain/time/instant.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { OutdatedDirectory, RestoreIntent } from './intent.ts';

const SECONDS_PER_DAY = 86_400;

/**
 * What earlier restores of the same data directory replaced and kept, once it has been kept long enough: only what a
 * successful run's journal names, and only while it is still the same directory.
 */
export async function outdatedDirectories(
  dataDirectory: string,
  keepOldDays: number,
  now: Instant,
  ports: ReadPorts,
  context: OperationContext,
): Promise<readonly OutdatedDirectory[]> {
  const replaced = (await ports.runs.list({ verbs: ['restore'] })).flatMap((run) => replacedBy(run, dataDirectory, keepOldDays, now));
  const found = await Promise.all(replaced.map(({ path }) => ports.instance.inspectDirectory(path, context)));
  return replaced.filter(({ identity }, index) => {
    const directory = found[index];
    return directory?.identity === identity && directory.running === undefined;
  });
}

function replacedBy({ header, entries }: StoredRun, dataDirectory: string, days: number, now: Instant): readonly OutdatedDirectory[] {
  const finished = entries.findLast((entry) => entry.kind === 'run-finished');
  if (header.verb !== 'restore' || finished?.kind !== 'run-finished' || finished.outcome !== 'succeeded') return [];
  const intent = header.intent as RestoreIntent;
  const isOld = secondsBetween(finished.at, now) > days * SECONDS_PER_DAY;
  if (!isOld || intent.dataDirectory !== dataDirectory || intent.oldDataDirectory === null || intent.destinationIdentity === null)
    return [];
  return [{ path: intent.oldDataDirectory, identity: intent.destinationIdentity, days }];
}
