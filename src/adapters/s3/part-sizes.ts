const MIB = 1024 * 1024;

/** S3's own limit of an upload. */
export const PARTS_AT_MOST = 10_000;

/** `growing`: for objects of any length; a number: all but the last have that many bytes, as some services want it (Cloudflare R2). */
export type PartSizes = 'growing' | number;

const FIRST_PART_BYTES = 8 * MIB;
const LAST_PART_BYTES = 1024 * MIB;
/** So that the longest object of S3, 5 TiB, needs less than 10,000 parts: 694 GiB until they are at their longest, and 5.6 TiB in all. */
const PARTS_OF_A_SIZE = 700;

/** How long the part with this number, from 1, is where it is not the last. */
export function partBytesOf(number: number, sizes: PartSizes): number {
  if (sizes !== 'growing') return sizes;
  return Math.min(FIRST_PART_BYTES * 2 ** Math.floor((number - 1) / PARTS_OF_A_SIZE), LAST_PART_BYTES);
}

const UNDER_WAY_BYTES = 32 * MIB;
const UNDER_WAY_AT_MOST = 4;

/** How many parts of a length may be under way. */
export function partsUnderWay(partBytes: number): number {
  return Math.max(1, Math.min(UNDER_WAY_AT_MOST, Math.floor(UNDER_WAY_BYTES / partBytes)));
}
