import type { NativeSettings } from '../settings.ts';

/**
 * What spoke-wal-get's slow path reads (`spoke-backup wal-get`): how repositories are reached that are not on this machine. PostgreSQL runs it for a
 * standby or a restored server, with neither the environment nor the rights that the configuration's references need. Secret: for a file of
 * 0600. Undefined where there are no such repositories. Throws SECRET_UNAVAILABLE.
 */
export async function accessText({ repositories, encryption }: NativeSettings): Promise<string | undefined> {
  const found: (readonly [string, object])[] = [];
  for (const repository of repositories) if (repository.access !== undefined) found.push([repository.name, await repository.access()]);
  if (found.length === 0) return undefined;
  const identity = encryption?.identityFile === undefined ? {} : { identityFile: encryption.identityFile };
  return `${JSON.stringify({ repositories: Object.fromEntries(found), ...identity }, undefined, 2)}\n`;
}
