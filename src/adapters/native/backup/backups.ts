import { SpokeError } from '../../../errors.ts';
import type { BackupEngine } from '../../../ports/backup-engine.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeArchiving } from '../wal/archiving.ts';

type NativeBackups = Pick<
  BackupEngine,
  'previewCreateRepositories' | 'createRepositories' | 'previewBackup' | 'takeBackup' | 'previewVerify'
>;

export function createBackups(_parts: NativeParts, _catalog: NativeCatalog, _wal: Pick<NativeArchiving, 'awaitWal'>): NativeBackups {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot take backups yet'));
  return {
    previewCreateRepositories: () => [],
    createRepositories: notYet,
    previewBackup: () => [],
    takeBackup: notYet,
    previewVerify: () => [],
  };
}
