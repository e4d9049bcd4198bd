import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is handed on in pieces, so that a tool without line ends cannot fill the memory. */
const MAX_LINE_LENGTH = 1_048_576;

/** Cuts a byte stream into lines. `end` hands on what came after the last line end. */
export function createLineSplitter(onLine: (line: string) => void): { push(chunk: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const emit = (line: string) => {
    onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  };
  return {
    push(chunk) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) emit(line);
      while (rest.length > MAX_LINE_LENGTH) {
        emit(rest.slice(0, MAX_LINE_LENGTH));
        rest = rest.slice(MAX_LINE_LENGTH);
      }
    },
    end() {
      rest += decoder.end();
      if (rest !== '') emit(rest);
      rest = '';
    },
  };
}

/** Keeps everything up to a limit. `push` is false once the limit is passed; what is over it is dropped. */
export function createBoundedBuffer(maxBytes: number): { push(chunk: Buffer): boolean; text(): string } {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return {
    push(chunk) {
      if (sizeBytes + chunk.length > maxBytes) return false;
      chunks.push(chunk);
      sizeBytes += chunk.length;
      return true;
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}

/** Keeps the last `maxBytes`. Text that begins in the middle of a line loses that line. */
export function createTailBuffer(maxBytes: number): { push(chunk: Buffer): void; text(): string } {
  let tail = Buffer.alloc(0);
  let isCut = false;
  return {
    push(chunk) {
      const joined = Buffer.concat([tail, chunk]);
      isCut ||= joined.length > maxBytes;
      tail = joined.subarray(Math.max(0, joined.length - maxBytes));
    },
    text() {
      const text = tail.toString('utf8');
      const firstLineEnd = text.indexOf('\n');
      return isCut && firstLineEnd >= 0 ? text.slice(firstLineEnd + 1) : text;
    },
  };
}
