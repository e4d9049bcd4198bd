import { access } from 'node:fs/promises';
import { SpokeError } from '../../errors.ts';
import type { LabContext } from '../context.ts';

/** Names a mirror of Debian where this machine's apt names none (Ubuntu, say). */
const MIRROR_VARIABLE = 'SPOKE_LAB_DEBIAN_MIRROR';

const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];

/** The mirrors to ask, best first: the one that was named, then the one that this machine's apt uses. Throws TOOL_MISSING where there is neither. */
export async function debianMirrors(context: LabContext): Promise<readonly string[]> {
  const result = await context.processes.run({
    file: 'apt-get',
    argv: ['indextargets', '--format', '$(ORIGIN)|$(CODENAME)|$(REPO_URI)', 'Created-By: Packages'],
    signal: context.signal,
    timeoutMs: 60_000,
  });
  const own = result.exitCode === 0 ? parseIndexTargets(result.stdout) : [];
  const named = context.environment?.[MIRROR_VARIABLE];
  const mirrors = [...new Set([...(named === undefined || named === '' ? [] : [named]), ...own.slice(0, 1)])];
  if (mirrors.length > 0) return mirrors;
  throw new SpokeError('TOOL_MISSING', "This machine's apt knows no mirror of Debian to fetch the lab's S3 server from.", {
    hint: `Name one: ${MIRROR_VARIABLE}=<url of a Debian mirror>, or an S3 endpoint of your own by SPOKE_LAB_S3_ENDPOINT, or: spoke-backup lab up --no-s3`,
  });
}

/**
 * The repositories of Debian itself among the lines `origin|codename|uri` that apt prints. The origin is known only where
 * `apt-get update` has run, so a URI that ends in /debian counts too.
 */
export function parseIndexTargets(output: string): readonly string[] {
  const uris = output.split('\n').flatMap((line) => {
    const [origin = '', codename = '', uri = ''] = line.split('|');
    const isDebian = origin === 'Debian' && !codename.includes('-');
    return isDebian || /\/debian\/?$/.test(uri) ? [uri.replace(/\/$/, '')] : [];
  });
  return [...new Set(uris)];
}

/** The file with the keys of Debian's archive; throws TOOL_MISSING with the command that installs it. */
export async function debianKeyring(): Promise<string> {
  for (const path of KEYRINGS) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new SpokeError('TOOL_MISSING', `The keys of Debian's archive are not on this machine (looked for ${KEYRINGS.join(', ')}).`, {
    hint: 'apt-get install debian-archive-keyring',
  });
}
