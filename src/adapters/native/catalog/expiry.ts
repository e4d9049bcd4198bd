import { SpokeError } from '../../../errors.ts';
import type { BackupEngine } from '../../../ports/backup-engine.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeCatalog } from './catalog.ts';

type NativeExpiry = Pick<
  BackupEngine,
  'previewExpireBackup' | 'previewExpireWal' | 'previewAnnotate' | 'expireBackup' | 'expireWal' | 'annotateBackup'
>;

export function createExpiry(_parts: NativeParts, _catalog: NativeCatalog): NativeExpiry {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot expire yet'));
  return {
    previewExpireBackup: () => [],
    previewExpireWal: () => [],
    previewAnnotate: () => [],
    expireBackup: notYet,
    expireWal: notYet,
    annotateBackup: notYet,
  };
}
