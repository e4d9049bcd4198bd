import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../../src/domain/hosts/lines.ts';
import { decodeMessage, encodeMessage, errorOfMessage, errorToMessage } from '../../../src/domain/hosts/protocol.ts';
import { SpokeError } from '../../../src/errors.ts';

/** What results are made of: JSON, and bigints anywhere in it. */
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    fc.array(tie('node')),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('node'), { noNullPrototype: true }),
  ),
})).node;

describe('a message between hosts', () => {
  it('is one line, and says on the other side what it said on this one', () => {
    fc.assert(
      fc.property(value, (result) => {
        const line = encodeMessage({ id: 1, result });
        expect(line).not.toContain('\n');
        expect(decodeMessage(line)).toEqual({ id: 1, result });
      }),
    );
  });

  it.each(['', 'Welcome to db2!', '[1]', '"text"', '7', 'null', '{"id":1'])('is not what %j is', (line) => {
    expect(decodeMessage(line)).toBeUndefined();
  });

  it('takes for a number only what is one', () => {
    expect(decodeMessage('{"of":{"$bigint":"1; rm"}}')).toEqual({ of: { $bigint: '1; rm' } });
    expect(decodeMessage('{"of":{"$bigint":"1","more":1}}')).toEqual({ of: { $bigint: '1', more: 1 } });
  });

  it('carries an error with its code, hint and details, and says where it happened', () => {
    const error = new SpokeError('DISK_FULL', 'the file system / is full', { details: { serverLog: 'x' }, hint: 'Free space.' });
    const arrived = errorOfMessage(errorToMessage(error), 'db2');
    expect(arrived).toMatchObject({ code: 'DISK_FULL', hint: 'Free space.', details: { serverLog: 'x', host: 'db2' } });
    expect(arrived.message).toBe('db2: the file system / is full');
  });

  it('takes an error of which this version knows nothing for a bug, and never for one of its own names', () => {
    for (const code of ['NEWER', 'constructor', 7]) expect(errorOfMessage({ code, message: 'm' }, 'db2').code).toBe('INTERNAL');
    expect(errorOfMessage(null, 'db2').code).toBe('INTERNAL');
  });
});

describe('lines', () => {
  async function cut(text: string, sizes: readonly number[]): Promise<readonly string[]> {
    const bytes = new TextEncoder().encode(text);
    async function* chunks() {
      let at = 0;
      for (const size of sizes) {
        yield await Promise.resolve(bytes.subarray(at, at + size));
        at += size;
      }
      yield bytes.subarray(at);
    }
    const lines: string[] = [];
    for await (const line of linesOf(chunks())) lines.push(line);
    return lines;
  }

  it('are the same however the bytes arrive; what has no end is none', async () => {
    const line = fc.string({ unit: 'binary' }).filter((text) => !/[\n\ud800-\udfff]/.test(text) && !text.startsWith('\ufeff'));
    await fc.assert(
      fc.asyncProperty(fc.array(line), line, fc.array(fc.nat(7)), async (lines, rest, sizes) => {
        expect(await cut(lines.map((one) => `${one}\n`).join('') + rest, sizes)).toEqual(lines);
      }),
    );
  });
});
