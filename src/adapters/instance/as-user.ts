import { SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { ifReadable } from './file-error.ts';
import { currentUser } from './users.ts';

/** How a program is started as another user. */
export interface UserSwitch {
  readonly file: string;
  readonly argv: readonly string[];
  /** For child_process.spawn, where no helper switches. */
  readonly credentials: { readonly uid?: number; readonly gid?: number };
}

const PROBE_TIMEOUT_MS = 5_000;

/**
 * The command that runs `file` as `owner`. setpriv (util-linux) keeps the process id and gives the user his supplementary
 * groups: on Debian a server reads its TLS key as a member of ssl-cert. setuid alone would drop them.
 * Throws REFUSED_PRECONDITION where we are neither that user nor root.
 */
export async function asUser(owner: FileOwner, file: string, argv: readonly string[], runner: ProcessRunner): Promise<UserSwitch> {
  const current = currentUser();
  if (current.uid === owner.uid) return { file, argv, credentials: {} };
  if (current.uid !== 0)
    throw new SpokeError('REFUSED_PRECONDITION', `${file} has to run as ${owner.name}, and this program runs as ${current.name}.`, {
      hint: `Run this as ${owner.name} or as root.`,
    });
  const switching = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--init-groups', '--'];
  if (await canSetpriv(switching, runner)) return { file: 'setpriv', argv: [...switching, file, ...argv], credentials: {} };
  return { file, argv, credentials: { uid: owner.uid, gid: owner.gid } };
}

/** Not where there is none, where it is busybox's, or where the uid has no user. */
async function canSetpriv(switching: readonly string[], runner: ProcessRunner): Promise<boolean> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  const argv = [...switching, 'true'];
  const result = await ifReadable(runner.run({ file: 'setpriv', argv, signal, timeoutMs: PROBE_TIMEOUT_MS }));
  return result?.exitCode === 0;
}
