import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import { storedSuffix, walFileOfStored, walFolder } from '../../../domain/native/layout.ts';
import { walSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { SpokeError } from '../../../errors.ts';
import type { BlobReader } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { type NativeParts, repositoryOf } from '../parts.ts';
import { destinationsOf } from './places.ts';
import { readPushErrors } from './push-errors.ts';
import type { SegmentSpan } from './segment-span.ts';
import { shipFile } from './ship-file.ts';

const POLL_MS = 250;
const DEFAULT_TIMEOUT_MS = 120_000;

/** Resolves once a repository holds every segment of a span; what home has of it is brought there. Throws TIMED_OUT. */
export async function awaitWal(parts: NativeParts, name: RepositoryName, span: SegmentSpan, context: OperationContext): Promise<void> {
  const repository = repositoryOf(parts.settings, name);
  const isDestination = destinationsOf(parts.settings).includes(repository);
  const store = await repository.open();
  const deadlineMs = parts.clock.monotonicMs() + (context.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  for (let missing = namesOf(span); ; ) {
    missing = await lacking(store, missing, context.signal);
    if (missing.length === 0) return;
    if (isDestination) for (const file of missing) await shipFile(parts, repository, `${file}${suffixOf(parts)}`, context);
    if (parts.clock.monotonicMs() >= deadlineMs) throw await notArchived(parts, name, missing);
    context.onProgress?.({ phase: 'waiting for WAL', ...(missing[0] === undefined ? {} : { position: missing[0] }) });
    await parts.clock.sleep(POLL_MS, context.signal);
  }
}

function namesOf({ timeline, firstSegment, lastSegment, segmentBytes }: SegmentSpan): readonly string[] {
  const count = Number(lastSegment - firstSegment) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) => walSegmentName(timeline, firstSegment + BigInt(index), segmentBytes));
}

/** Lists each folder once. */
async function lacking(store: BlobReader, names: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const there = new Set<string>();
  for (const folder of new Set(names.map((name) => walFolder(name))))
    for (const { key } of await store.list(folder, signal)) there.add(walFileOfStored(key.slice(folder.length)) ?? '');
  return names.filter((name) => !there.has(name));
}

function suffixOf({ settings: { compressType, encryption } }: NativeParts): string {
  return storedSuffix(compressType, encryption !== undefined);
}

async function notArchived({ settings }: NativeParts, name: RepositoryName, missing: readonly string[]): Promise<SpokeError> {
  const errors = await readPushErrors(settings);
  const told = errors.find(({ repository }) => repository === undefined || repository === name);
  return new SpokeError(
    'TIMED_OUT',
    `repository ${name} has not got segment ${missing[0] ?? ''}${told === undefined ? '' : `: ${told.message}`}`,
    {
      hint: 'See what archive_command says in the server log; spoke-backup setup archiving repairs the settings.',
    },
  );
}
