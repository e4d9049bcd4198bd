import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { killAll, processesBelow, TEST_ROOT_VARIABLE } from './test-root.ts';

/** Makes the directory below which all tests work. Under /tmp: a socket's path has at most 107 bytes. */
export function setup(): () => void {
  const root = mkdtempSync('/tmp/spk-');
  // Like /tmp: servers run as another user than the tests.
  chmodSync(root, 0o1777);
  process.env[TEST_ROOT_VARIABLE] = root;
  return () => {
    killAll(processesBelow(root));
    rmSync(root, { recursive: true, force: true });
  };
}
