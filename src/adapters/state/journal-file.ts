import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Instant } from '../../domain/time/instant.ts';
import type { JournalEntry } from '../../ports/run-store.ts';
import { inheritOwner, syncDirectory } from './durable.ts';
import { entryOfLine } from './run-json.ts';

const NEWLINE = 0x0a;
const CHUNK_BYTES = 64 * 1024;

/**
 * Appends one line (its newline included) and makes it durable. A last line without a newline was never acknowledged: it is cut
 * off first. Where the line cannot be written whole, what was written of it is taken back.
 */
export async function appendLine(path: string, line: string): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const { size } = await handle.stat();
    if (size === 0) await inheritOwner(handle, dirname(path));
    const end = await endOfLastLine(handle, size);
    if (end < size) await handle.truncate(end);
    try {
      await writeAll(handle, Buffer.from(line), end);
      await handle.sync();
    } catch (thrown) {
      await handle.truncate(end);
      throw thrown;
    }
    if (end === 0) await syncDirectory(dirname(path));
  } finally {
    await handle.close();
  }
}

/** The entries of a journal. A torn last line is left out; a line that cannot be read becomes a note that says so. */
export function entriesOf(journal: string, startedAt: Instant): readonly JournalEntry[] {
  const lines = journal.split('\n');
  lines.pop();
  let at = startedAt;
  return lines.map((line, index) => {
    const entry = entryOfLine(line) ?? unreadable(at, index + 1, line);
    at = entry.at;
    return entry;
  });
}

function unreadable(at: Instant, line: number, text: string): JournalEntry {
  return { at, kind: 'note', message: `line ${line} of the journal cannot be read and was skipped`, detail: { line, text } };
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** The offset after the last newline. */
async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - start), 0, end - start, start);
    const index = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (index >= 0) return start + index + 1;
    end = start;
  }
  return 0;
}
