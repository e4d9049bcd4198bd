import { SpokeError } from '../../../errors.ts';
import type { BackupCatalogReader } from '../../../ports/backup-engine.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeCatalog } from './catalog.ts';

type NativeReader = Omit<BackupCatalogReader, 'isConfigurationCurrent' | 'readPushErrors'>;

export function createNativeReader(_parts: NativeParts, _catalog: NativeCatalog): NativeReader {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot read its repositories yet'));
  return { readVersion: notYet, readRepository: notYet, readOwnExpiry: notYet, readBackupDetail: notYet, verifyRepository: notYet };
}
