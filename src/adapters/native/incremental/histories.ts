import { SpokeError } from '../../../errors.ts';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { reasonHistoriesDiffer } from '../../../domain/native/chain.ts';
import { WAL_PREFIX } from '../../../domain/native/layout.ts';
import { parseTimelineHistory, type TimelineHistory, timelineHistoryFileName } from '../../../domain/postgres/timeline-history.ts';
import type { TimelineId } from '../../../domain/postgres/timeline.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ServerAddress } from '../../../ports/postgres-server.ts';
import type { NativeParts } from '../parts.ts';
import { keepsForItself, readKeptHistory } from './kept.ts';
import { readPlain } from './read-plain.ts';

/**
 * Why the server's timeline may be another one than that of the same number which a backup is of; undefined where it is the same. Where this
 * host cannot read what is archived, that is compared which the server of the backup said then.
 */
export async function reasonOfOtherPast(
  parts: NativeParts,
  { label, timeline }: BackupRecord,
  { address, repositories }: { readonly address: ServerAddress; readonly repositories: readonly RepositoryName[] },
  context: OperationContext,
): Promise<string | undefined> {
  if (timeline === 1) return undefined;
  const ofServer = await historyOfServer(parts, address, timeline, context);
  for (const repository of repositories) {
    const found = keepsForItself(parts.settings)
      ? await readKeptHistory(parts.settings, label, timeline)
      : await historyOfArchive(parts, repository, timeline, context);
    const reason = typeof found === 'string' ? found : reasonHistoriesDiffer(timeline, ofServer, found);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Undefined where the server does not show it. Throws POSTGRES_UNAVAILABLE. */
export async function historyOfServer(
  { postgres }: Pick<NativeParts, 'postgres'>,
  address: ServerAddress,
  timeline: TimelineId,
  context: OperationContext,
): Promise<TimelineHistory | undefined> {
  try {
    return await postgres.readTimelineHistory(address, timeline, context);
  } catch (thrown) {
    if (thrown instanceof SpokeError && thrown.code === 'POSTGRES_FAILED') return undefined;
    throw thrown;
  }
}

/** A text: why it cannot be read. */
async function historyOfArchive(
  parts: NativeParts,
  repository: RepositoryName,
  timeline: TimelineId,
  context: OperationContext,
): Promise<TimelineHistory | string | undefined> {
  const name = timelineHistoryFileName(timeline);
  try {
    const source = await readPlain(parts, repository, `${WAL_PREFIX}${name}`, context);
    if (source === undefined) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) chunks.push(chunk);
    return parseTimelineHistory(Buffer.concat(chunks).toString('utf8'), timeline);
  } catch (thrown) {
    if (thrown instanceof RangeError) return `${name} in repository ${repository} cannot be read: ${thrown.message}`;
    if (thrown instanceof SpokeError && (thrown.code === 'BACKUP_DAMAGED' || thrown.code === 'SECRET_UNAVAILABLE')) return thrown.message;
    throw thrown;
  }
}
