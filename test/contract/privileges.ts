import { execFileSync } from 'node:child_process';
import { it } from 'vitest';

const isRoot = process.geteuid?.() === 0;

/** A test that becomes other users. */
export function asRoot(name: string, body: () => Promise<void>): void {
  it(name, async (context) => {
    if (!isRoot) context.skip('it changes users, which needs root');
    await body();
  });
}

/** A test that mounts file systems or hides processes: root in a container may not be allowed to. */
export function withMounts(name: string, body: () => Promise<void>): void {
  it(name, async (context) => {
    if (!canMount()) context.skip('it mounts file systems, which this machine lets nobody do but root outside of containers');
    await body();
  });
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', '--propagation', 'unchanged', '--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
