import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/clock.ts';
import type { PostgresReader, PostgresWriter } from '../../ports/postgres-server.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import type { NativeRepository, NativeSettings } from './settings.ts';

/** What the native engine is built of. */
export interface NativeParts {
  readonly settings: NativeSettings;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
  readonly postgres: PostgresReader;
  readonly postgresWriter: PostgresWriter;
}

/** Throws USAGE where the configuration knows no such repository. */
export function repositoryOf({ repositories }: NativeSettings, name: RepositoryName): NativeRepository {
  const found = repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new SpokeError('USAGE', `there is no repository "${name}"`);
  return found;
}

export function storeOf({ settings }: Pick<NativeParts, 'settings'>, name: RepositoryName): Promise<BlobStore> {
  return repositoryOf(settings, name).open();
}

/** Whom PostgreSQL's own programs run as. */
export function asUser({ user }: NativeSettings) {
  return user === undefined ? {} : { user: { uid: user.uid, gid: user.gid } };
}
