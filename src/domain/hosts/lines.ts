import { SpokeError } from '../../errors.ts';
import { MOST_LINE_BYTES } from './protocol.ts';

/** Cuts bytes into lines of text; what comes after the last line end is no line. Throws TOOL_FAILED for one that is too long to be a message. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
    pieces.push(first);
    length += first.length;
    if (length > MOST_LINE_BYTES) throw new SpokeError('TOOL_FAILED', `a line of more than ${MOST_LINE_BYTES} characters is no message`);
    for (const piece of others) {
      yield pieces.join('');
      pieces = [piece];
      ({ length } = piece);
    }
  }
}
