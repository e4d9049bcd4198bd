import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { findExecutable, type Setpriv } from './launch.ts';

let found: { readonly setpriv: Setpriv | undefined } | undefined;

/** Looks once whether util-linux's setpriv is installed: --pdeathsig came with 2.33 of 2018, and busybox, which is a link, has none. */
export function findSetpriv(): Setpriv | undefined {
  found ??= { setpriv: look() };
  return found.setpriv;
}

function look(): Setpriv | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const file = findExecutable('setpriv', process.env['PATH'] ?? '');
    return basename(realpathSync(file)) === 'setpriv' ? { file } : undefined;
  } catch {
    return undefined;
  }
}
