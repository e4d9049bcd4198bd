import type { BackupLabel, RepositoryName } from '../domain/catalog/base-backup.ts';
import type { Pin } from '../domain/retention/pin.ts';

/** The pins in the state directory. The same pins are annotations of their backups. */
export interface PinReader {
  /** Of one cluster. Throws REFUSED_PRECONDITION where they cannot be read: what is not known may be pinned. */
  list(cluster: string): Promise<readonly Pin[]>;
}

export interface PinWriter {
  /** In place of one that the backup has already. Durable when it resolves. */
  save(cluster: string, pin: Pin): Promise<void>;
  /** Idempotent. Durable when it resolves. */
  remove(cluster: string, repository: RepositoryName, label: BackupLabel): Promise<void>;
}
