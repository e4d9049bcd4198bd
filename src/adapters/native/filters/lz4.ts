import { SpokeError } from '../../../errors.ts';
import { damaged } from './damaged.ts';
import type { Filter } from './through-process.ts';

/** Writes a content checksum by itself. */
export function lz4Compressor(level: number): Filter {
  return {
    file: 'lz4',
    argv: ['-q', `-${level}`, '-c'],
    failure: ({ exitCode, stderrTail }) =>
      new SpokeError('TOOL_FAILED', `lz4 ended with exit code ${exitCode}.`, { details: { tool: 'lz4', stderrTail } }),
  };
}

/** Passes `source` on, and throws where there is nothing: lz4 takes that for a file without content. */
export async function* notEmpty(name: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isEmpty = true;
  for await (const chunk of source) {
    isEmpty &&= chunk.length === 0;
    yield chunk;
  }
  if (isEmpty) throw damaged(name, 'decompressed', 'it is empty');
}

export function lz4Decompressor(name: string): Filter {
  return {
    file: 'lz4',
    argv: ['-d', '-c'],
    failure: ({ exitCode, stderrTail }) => damaged(name, 'decompressed', reasonIn(stderrTail) ?? `lz4 ended with exit code ${exitCode}`),
  };
}

function reasonIn(stderrTail: string): string | undefined {
  return /Error \d+ : (.+?)\s*$/m.exec(stderrTail)?.[1];
}
