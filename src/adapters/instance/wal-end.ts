import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lsn, lsnOf } from '../../domain/postgres/lsn.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import type { WalEnd } from '../../ports/instance.ts';
import { ifPresent } from '../common/file-error.ts';
import { readOwnHeader, readRecorded } from '../common/wal-file.ts';
import { translating } from './file-error.ts';

/** From the newest file on: those that are only kept for what is to come have pages of older WAL, or none. */
export async function readWalEnd(dataDirectory: string): Promise<WalEnd | undefined> {
  const directory = join(dataDirectory, 'pg_wal');
  return translating(`read the WAL in ${directory}`, async () => {
    const names = ((await ifPresent(readdir(directory))) ?? []).filter((name) => /^[0-9A-F]{24}$/.test(name));
    for (const name of names.sort().reverse()) {
      const found = await ifPresent(endOf(join(directory, name), name));
      if (found !== undefined) return found;
    }
    return undefined;
  });
}

/** Undefined where no record ends in it that is there as a whole. */
async function endOf(path: string, name: string): Promise<WalEnd | undefined> {
  const file = await open(path, 'r');
  try {
    const header = await readOwnHeader(file, name);
    if (header === undefined) return undefined;
    const { endOffset } = (await readRecorded(file, header)).recorded;
    if (endOffset === 0) return undefined;
    const { timeline } = parseWalSegmentName(name, header.segmentSizeBytes);
    const lsn: Lsn = lsnOf(header.startLsn + BigInt(endOffset));
    return { timeline, lsn };
  } finally {
    await file.close();
  }
}
