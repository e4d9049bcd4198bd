import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { PushError } from '../../../domain/health/archive-facts.ts';
import type { TimelineId } from '../../../domain/postgres/timeline.ts';
import { SpokeError } from '../../../errors.ts';
import type { CommandPreview } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';

/** Whole segments of one timeline, both ends included. */
export interface SegmentSpan {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  readonly lastSegment: bigint;
  readonly segmentBytes: number;
}

/** The part of the engine's port that is about WAL, and what a backup asks of it. */
export interface NativeArchiving {
  archivingSettings(): Readonly<Record<string, string>>;
  previewWriteConfiguration(): readonly CommandPreview[];
  writeConfiguration(): Promise<void>;
  isConfigurationCurrent(): Promise<boolean>;
  readPushErrors(): Promise<readonly PushError[]>;
  previewCheckArchiving(): readonly CommandPreview[];
  checkArchiving(context: OperationContext): Promise<void>;
  /**
   * Ships what is at home and not yet in that repository, and resolves once every segment of the span is there. Forces no switch. Throws
   * TIMED_OUT, naming the first segment that is missing.
   */
  awaitWal(repository: RepositoryName, span: SegmentSpan, context: OperationContext): Promise<void>;
}

export function createArchiving(_parts: NativeParts): NativeArchiving {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot archive WAL yet'));
  return {
    archivingSettings: () => ({}),
    previewWriteConfiguration: () => [],
    writeConfiguration: notYet,
    isConfigurationCurrent: () => Promise.resolve(false),
    readPushErrors: () => Promise.resolve([]),
    previewCheckArchiving: () => [],
    checkArchiving: notYet,
    awaitWal: notYet,
  };
}
