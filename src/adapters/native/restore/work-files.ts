import { join } from 'node:path';
import type { RestoreRequest } from '../../../ports/backup-engine.ts';

type Work = Pick<RestoreRequest, 'workDirectory'>;

/** Held by every program that writes for this restore. */
export function lockFileOf({ workDirectory }: Work): string {
  return join(workDirectory, 'lock');
}

/** The manifest of what is restored. */
export function manifestFileOf({ workDirectory }: Work): string {
  return join(workDirectory, 'backup_manifest');
}

/** Where a server that replays meets what fetches its WAL. */
export function replayPlaceOf({ workDirectory }: Work): string {
  return join(workDirectory, 'replay');
}
