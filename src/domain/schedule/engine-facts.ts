import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';

/** What a decision has to know of the engine that keeps a repository. */
export interface EngineFacts {
  /** Those that say the same get the same backup by one reading of the database. Absent: each has one of its own. */
  readonly together?: string;
  /** What an incremental becomes, where the engine takes none of this PostgreSQL. Absent: it does. */
  readonly withoutIncremental?: 'full' | 'nothing';
  /** True where nothing may rest on a backup of another timeline. */
  readonly needsFullOnNewTimeline?: true;
}

/** Of each repository whose engine answered; of one that is not there nothing special is known. */
export type EnginesByRepository = ReadonlyMap<RepositoryName, EngineFacts>;

/** The type of what a schedule asks for; undefined where that is nothing. */
export function scheduledType(type: BackupType | undefined, { withoutIncremental }: EngineFacts = {}): BackupType | undefined {
  if (type === undefined || type === 'full' || withoutIncremental === undefined) return type;
  return withoutIncremental === 'full' ? 'full' : undefined;
}
