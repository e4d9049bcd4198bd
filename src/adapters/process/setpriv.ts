import { readFileSync } from 'node:fs';
import { findExecutable, type Setpriv } from './launch.ts';

let found: { readonly setpriv: Setpriv | undefined } | undefined;

/**
 * Looks once whether there is a setpriv that knows --pdeathsig: it came with util-linux 2.33, which RHEL 8 does not have, nor has
 * busybox. The option's name in the program says so without the time that a trial run takes.
 */
export function findSetpriv(): Setpriv | undefined {
  found ??= { setpriv: look() };
  return found.setpriv;
}

function look(): Setpriv | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const file = findExecutable('setpriv', process.env['PATH'] ?? '');
    return readFileSync(file, 'latin1').includes('pdeathsig') ? { file } : undefined;
  } catch {
    return undefined;
  }
}
