import type { BackupCatalogReader, BackupEngine } from '../../ports/backup-engine.ts';
import { createBackups } from './backup/backups.ts';
import { createCatalog } from './catalog/catalog.ts';
import { createNativeReader } from './catalog/reader.ts';
import { createExpiry } from './catalog/expiry.ts';
import { createRecentReads } from '../common/recent-reads.ts';
import { summarySettings } from './incremental/settings.ts';
import type { NativeParts } from './parts.ts';
import { createRestores } from './restore/restore.ts';
import { createArchiving } from './wal/archiving.ts';

/** PostgreSQL's own programs and plain objects as a backup engine. Reading changes nothing anywhere. */
export function createNativeEngine(parts: NativeParts): { readonly reader: BackupCatalogReader; readonly engine: BackupEngine } {
  const catalog = createCatalog(parts);
  const recent = createRecentReads(parts.clock);
  const archiving = createArchiving(parts);
  const { isConfigurationCurrent, readPushErrors, readHeldWal, awaitWal, whileShipping, adoptCluster, ...archives } = archiving;
  const backups = createBackups(parts, catalog, { awaitWal, whileShipping }, recent);
  return {
    reader: { ...createNativeReader(parts, catalog, recent), isConfigurationCurrent, readPushErrors, readHeldWal },
    engine: {
      ...archives,
      backupSettings: summarySettings,
      ...createRestores(parts, catalog, archiving),
      ...backups,
      async createRepositories(context) {
        await backups.createRepositories(context);
        await adoptCluster(context);
      },
      ...createExpiry(parts, catalog, recent),
    },
  };
}
