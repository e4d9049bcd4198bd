import { findExecutable, type Setpriv } from './launch.ts';

let probed: Promise<Setpriv | undefined> | undefined;

/** Looks once whether setpriv is installed and new enough (--pdeathsig came with util-linux 2.33; busybox has none). */
export function findSetpriv(): Promise<Setpriv | undefined> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<Setpriv | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    const path = process.env['PATH'] ?? '';
    const file = findExecutable('setpriv', path);
    const { execa } = await import('execa');
    const result = await execa(file, ['--pdeathsig=clear', '--', findExecutable('true', path)], {
      extendEnv: false,
      env: {},
      stdio: 'ignore',
      reject: false,
      timeout: 5_000,
    });
    return result.exitCode === 0 ? { file } : undefined;
  } catch {
    return undefined;
  }
}
