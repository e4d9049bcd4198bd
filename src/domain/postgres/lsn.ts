/**
 * A position in the write-ahead log, as PostgreSQL's `pg_lsn`: a 64-bit byte offset that prints as
 * two hexadecimal halves, for example `0/3000060`. Never a JavaScript number: those lose digits above 2^53.
 */
export type Lsn = bigint & { readonly __brand: 'Lsn' };

const LSN_TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;
const MAX_LSN = 0xffff_ffff_ffff_ffffn;

/** True where `text` has the form that PostgreSQL prints (`0/3000060`). */
export function isLsnText(text: string): boolean {
  return LSN_TEXT.test(text);
}

/** Reads `0/3000060`. Throws RangeError on anything else. */
export function parseLsn(text: string): Lsn {
  const match = LSN_TEXT.exec(text);
  if (!match) throw new RangeError(`not an LSN: "${text}" (expected two hexadecimal halves, for example 0/3000060)`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** Makes an LSN of a byte offset. Throws RangeError outside 64 bits. */
export function lsnOf(offsetBytes: bigint): Lsn {
  if (offsetBytes < 0n || offsetBytes > MAX_LSN) throw new RangeError(`LSN out of range: ${offsetBytes}`);
  return offsetBytes as Lsn;
}

/** Prints as PostgreSQL does: `0/3000060`, upper-case, no padding. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}
