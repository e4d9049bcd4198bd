import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { closedVersionText, parseVersionFile } from '../../domain/postgres/version-file.ts';
import { SpokeError } from '../../errors.ts';

/**
 * From now on no postmaster starts on the directory. At once, since whoever is about to change it does not wait; over what is there, which
 * keeps owner and mode. Throws FILE_SYSTEM_FAILED.
 */
export function closeVersion(dataDirectory: string): void {
  const path = join(dataDirectory, 'PG_VERSION');
  try {
    const found = parseVersionFile(readFileSync(path, 'utf8'));
    if (found === undefined) throw new Error('it names no version');
    const file = openSync(path, 'r+');
    try {
      writeSync(file, closedVersionText(found.postgresMajor), 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new SpokeError('FILE_SYSTEM_FAILED', `Cannot close ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
