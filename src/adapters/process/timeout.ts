import { readFileSync } from 'node:fs';
import { findExecutable } from './launch.ts';

let found: { readonly timeout: string | undefined } | undefined;

/**
 * Looks once for the `timeout` of GNU coreutils: asked to end, it ends its whole process group, at last by SIGKILL. Those of
 * busybox and uutils signal less.
 */
export function findTimeout(): string | undefined {
  found ??= { timeout: look() };
  return found.timeout;
}

function look(): string | undefined {
  try {
    const file = findExecutable('timeout', process.env['PATH'] ?? '');
    const program = readFileSync(file, 'latin1');
    return program.includes('GNU coreutils') && program.includes('kill-after') ? file : undefined;
  } catch {
    return undefined;
  }
}
