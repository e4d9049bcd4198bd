import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import { ifReadable } from './file-error.ts';
import { currentUser } from './users.ts';

/** How a program is started as another user. */
export interface UserSwitch {
  readonly file: string;
  readonly argv: readonly string[];
  /** For child_process.spawn, where no helper switches. */
  readonly credentials: { readonly uid?: number; readonly gid?: number };
}

const SETPRIV_PLACES = ['/usr/bin/setpriv', '/bin/setpriv', '/usr/sbin/setpriv'];

/**
 * The command that runs `file` as `owner`. setpriv (util-linux) keeps the process id and gives the user his supplementary
 * groups: on Debian a server reads its TLS key as a member of ssl-cert. setuid alone would drop them.
 * Throws REFUSED_PRECONDITION where we are neither that user nor root.
 */
export async function asUser(owner: FileOwner, file: string, argv: readonly string[]): Promise<UserSwitch> {
  const current = currentUser();
  if (current.uid === owner.uid) return { file, argv, credentials: {} };
  if (current.uid !== 0)
    throw new SpokeError('REFUSED_PRECONDITION', `${file} has to run as ${owner.name}, and this program runs as ${current.name}.`, {
      hint: `Run this as ${owner.name} or as root.`,
    });
  for (const setpriv of SETPRIV_PLACES) {
    if ((await ifReadable(access(setpriv, constants.X_OK).then(() => true))) !== true) continue;
    const groups = /^\d+$/.test(owner.name) ? '--clear-groups' : '--init-groups';
    return { file: setpriv, argv: [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, groups, '--', file, ...argv], credentials: {} };
  }
  return { file, argv, credentials: { uid: owner.uid, gid: owner.gid } };
}
