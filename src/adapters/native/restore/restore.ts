import { SpokeError } from '../../../errors.ts';
import type { CommandPreview, Replay, RestoreRequest } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import { translating } from '../file-error.ts';
import type { NativeParts } from '../parts.ts';
import { restoreBackup } from './restore-backup.ts';

/** The part of the engine's port that restores. */
export interface NativeRestores {
  previewRestore(request: RestoreRequest): readonly CommandPreview[];
  restoreBackup(request: RestoreRequest, context: OperationContext): Promise<void>;
  replaySettings(replay: Replay): Readonly<Record<string, string>>;
  endReplay(replay: Pick<Replay, 'workDirectory'>, context: OperationContext): Promise<void>;
}

export function createRestores(parts: NativeParts, catalog: NativeCatalog): NativeRestores {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot replay yet'));
  return {
    previewRestore: () => [],
    restoreBackup: (request, context) =>
      translating(`restore into ${request.dataDirectory}`, () => restoreBackup(parts, catalog, request, 'false', context)),
    replaySettings: () => ({}),
    endReplay: notYet,
  };
}
