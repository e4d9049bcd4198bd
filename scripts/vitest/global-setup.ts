import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDead, killAll, lifeOf, mountsBelow, processesBelow, readText, TEST_ROOT_VARIABLE, unmountAll } from './test-root.ts';

/** Under /tmp whatever TMPDIR says: a socket's path has at most 107 bytes. */
const PARENT = '/tmp';
const PREFIX = 'spk-';
/** Names the run that a directory belongs to. */
const OWNER_FILE = '.owner';

/** Makes the directory below which all tests of this run work, and clears away what killed runs left. */
export function setup(): () => void {
  for (const name of readdirSync(PARENT)) {
    const root = join(PARENT, name);
    const owner = name.startsWith(PREFIX) ? readText(join(root, OWNER_FILE)) : '';
    if (owner !== '' && isDead(owner)) clear(root);
  }
  const root = mkdtempSync(join(PARENT, PREFIX));
  writeFileSync(join(root, OWNER_FILE), lifeOf(process.pid));
  // Like /tmp: servers run as another user than the tests.
  chmodSync(root, 0o1777);
  process.env[TEST_ROOT_VARIABLE] = root;
  return () => clear(root);
}

/** Not everything can be cleared by everybody: what another user's run left stays. */
function clear(root: string): void {
  killAll(processesBelow(root));
  unmountAll(mountsBelow(root));
  try {
    rmSync(root, { recursive: true, force: true });
  } catch (error) {
    process.stderr.write(`${root} was left: ${String(error)}\n`);
  }
}
