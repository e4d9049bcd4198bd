// Synchronous: for one small file that everything waits for, that takes half the time.
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { SpokeError } from '../errors.ts';

const MAX_FILE_BYTES = 256 * 1024;

/**
 * The text of a file that configures us; undefined where there is no file of that name.
 * Throws CONFIG_INVALID where it cannot be read, is larger than 256 KiB, or is not UTF-8.
 */
export function readConfigurationText(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(path, String(code), thrown);
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw unreadable(path, 'it is not a file');
    if (stats.size > MAX_FILE_BYTES) throw unreadable(path, `it is larger than ${MAX_FILE_BYTES} bytes`);
    const bytes = readFileSync(file);
    if (!isUtf8(bytes)) throw unreadable(path, 'it is not UTF-8 text');
    return bytes.toString('utf8');
  } catch (thrown) {
    if (thrown instanceof SpokeError) throw thrown;
    throw unreadable(path, 'reading failed', thrown);
  } finally {
    closeSync(file);
  }
}

function unreadable(path: string, why: string, cause?: unknown): SpokeError {
  return new SpokeError('CONFIG_INVALID', `the configuration file ${path} cannot be read: ${why}`, {
    details: { path },
    cause,
  });
}
