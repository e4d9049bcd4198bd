import { stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { readFileTail } from './file-tail.ts';

const MOST_LIST_BYTES = 4096;

/**
 * The end of a server's log. With logging_collector the file is named in current_logfiles; else it is whatever the postmaster's stderr
 * is, where that is a file: what is read of a pipe would be missing for whoever it is meant for.
 */
export async function readServerLog(
  { dataDirectory, pid }: { readonly dataDirectory: string; readonly pid?: number },
  maxBytes: number,
): Promise<string> {
  const collected = await collectedLog(dataDirectory);
  const stderr = pid === undefined ? undefined : `/proc/${pid}/fd/2`;
  for (const path of [collected, stderr]) if (path !== undefined && (await isFile(path))) return readFileTail(path, maxBytes);
  return '';
}

/** One line for each kind of log: `stderr log/postgresql-….log`. */
async function collectedLog(dataDirectory: string): Promise<string | undefined> {
  const list = join(dataDirectory, 'current_logfiles');
  if (!(await isFile(list))) return undefined;
  const named = /^stderr (.+)$/m.exec(await readFileTail(list, MOST_LIST_BYTES))?.[1];
  if (named === undefined) return undefined;
  return isAbsolute(named) ? named : join(dataDirectory, named);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
