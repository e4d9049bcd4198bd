import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SpokeError } from '../errors.ts';

const MAX_FILE_BYTES = 256 * 1024;

/**
 * The text of a file that configures us; undefined where there is no file of that name.
 * Throws CONFIG_INVALID where it cannot be read, is larger than 256 KiB, or is not UTF-8.
 */
export async function readConfigurationText(path: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(path, String(code), thrown);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw unreadable(path, 'it is not a file');
    if (stats.size > MAX_FILE_BYTES) throw unreadable(path, `it is larger than ${MAX_FILE_BYTES} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile());
  } catch (thrown) {
    if (thrown instanceof SpokeError) throw thrown;
    throw unreadable(path, thrown instanceof TypeError ? 'it is not UTF-8 text' : 'reading failed', thrown);
  } finally {
    await file.close();
  }
}

function unreadable(path: string, why: string, cause?: unknown): SpokeError {
  return new SpokeError('CONFIG_INVALID', `the configuration file ${path} cannot be read: ${why}`, {
    details: { path },
    cause,
  });
}
