import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { HeldWal, PushError } from '../../../domain/health/archive-facts.ts';
import type { ArchivedSegmentRequest, CommandPreview } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeSettings } from '../settings.ts';
import { awaitArchived } from './await-archived.ts';
import { archiveSegment } from './archive-segment.ts';
import { awaitWal } from './await-wal.ts';
import { checkArchiving } from './check-archiving.ts';
import { adoptCluster, isConfigurationCurrent, writeConfiguration } from './configuration.ts';
import { readHeldWal } from './held-wal.ts';
import { confFileOf } from './places.ts';
import { readPushErrors } from './push-errors.ts';
import type { SegmentSpan } from './segment-span.ts';
import { shellWord } from './shell-word.ts';
import { runShipper, whileShipping } from './shipper.ts';

export type { SegmentSpan } from './segment-span.ts';

/** The part of the engine's port that is about WAL, and what a backup asks of it. */
export interface NativeArchiving {
  archivingSettings(): Readonly<Record<string, string>>;
  previewWriteConfiguration(): readonly CommandPreview[];
  writeConfiguration(): Promise<void>;
  isConfigurationCurrent(): Promise<boolean>;
  readPushErrors(): Promise<readonly PushError[]>;
  readHeldWal(): Promise<readonly HeldWal[]>;
  previewCheckArchiving(): readonly CommandPreview[];
  checkArchiving(context: OperationContext): Promise<void>;
  awaitArchived(request: ArchivedSegmentRequest, context: OperationContext): Promise<void>;
  /** As archive_command would, of a segment that lies elsewhere than in pg_wal. */
  archiveSegment(path: string, context: OperationContext): Promise<void>;
  readonly shipsWal: boolean;
  shipWal(signal: AbortSignal): Promise<void>;
  /** What has to know whose the repositories are, once that is in them. */
  adoptCluster(context: OperationContext): Promise<void>;
  /**
   * Ships what is at home and not yet in that repository, and resolves once every segment of the span is there. Forces no switch. Throws
   * TIMED_OUT, naming the first segment that is missing.
   */
  awaitWal(repository: RepositoryName, span: SegmentSpan, context: OperationContext): Promise<void>;
  /** Has WAL shipped while something goes on that waits for archive_command, unless a daemon does so already. Not within awaitWal. */
  whileShipping<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createArchiving(parts: NativeParts): NativeArchiving {
  const { settings } = parts;
  return {
    archivingSettings: () => ({ archive_mode: 'on', archive_command: archiveCommand(settings) }),
    previewWriteConfiguration: () => [{ argv: ['(write)', confFileOf(settings)] }],
    writeConfiguration: () => writeConfiguration(parts),
    isConfigurationCurrent: () => isConfigurationCurrent(parts),
    readPushErrors: () => readPushErrors(settings),
    readHeldWal: () => readHeldWal(settings),
    previewCheckArchiving: () => [
      { argv: ['(primary)', 'SELECT pg_switch_wal()'] },
      ...settings.repositories.map(({ name }) => ({ argv: ['(wait)', `for the closed segment in ${name}`] })),
    ],
    checkArchiving: (context) => checkArchiving(parts, context),
    awaitArchived: (request, context) => awaitArchived(parts, request, context),
    archiveSegment: (path, context) => archiveSegment(parts, path, context),
    shipsWal: true,
    shipWal: (signal) => runShipper(parts, { reconciles: true }, signal),
    adoptCluster: (context) => adoptCluster(parts, context),
    whileShipping: (signal, work) => whileShipping(parts, signal, work),
    awaitWal: (name, span, context) => whileShipping(parts, context.signal, () => awaitWal(parts, name, span, context)),
  };
}

function archiveCommand(settings: NativeSettings): string {
  const words = [join(settings.programDirectory, 'spoke-wal-push'), '-c', confFileOf(settings)];
  return `${words.map(shellWord).join(' ')} %p`;
}
