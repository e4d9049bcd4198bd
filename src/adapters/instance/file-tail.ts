import { open } from 'node:fs/promises';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';

/** The last `maxBytes` of a file; empty where there is none. A character cut in half at the beginning is left out. */
export async function readFileTail(path: string, maxBytes: number): Promise<string> {
  return translating(`read ${path}`, async () => {
    const file = await ifPresent(open(path, 'r'));
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      const start = Math.max(0, size - maxBytes);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
      const tail = buffer.subarray(0, bytesRead);
      const firstWhole = start === 0 ? 0 : tail.findIndex((byte) => (byte & 0xc0) !== 0x80);
      return tail.subarray(Math.max(0, firstWhole)).toString('utf8');
    } finally {
      await file.close();
    }
  });
}
