import type { Lsn } from '../../../../src/domain/postgres/lsn.ts';

export const PAGE_BYTES = 8192;
const SEGMENT_BYTES = 1024 * 1024;
const LONG_HEADER = 40;
const SHORT_HEADER = 24;
const MAGIC_OF_15 = 0xd110;

/** A segment as PostgreSQL writes it (xlog_internal.h, xlogrecord.h), filled record by record. */
export class WrittenSegment {
  readonly bytes = new Uint8Array(SEGMENT_BYTES);
  /** Of each record. */
  readonly begins: number[] = [];
  /** Of each record, behind its last byte. */
  readonly ends: number[] = [];
  readonly #view = new DataView(this.bytes.buffer);
  readonly #start: Lsn;
  #at = 0;

  /** `continued`: so many bytes are of a record that began before. */
  constructor(start: Lsn, { continued = 0 } = {}) {
    this.#start = start;
    this.#page(continued);
    if (continued > 0) this.#write(new Uint8Array(continued).fill(0x5a));
    this.#align();
  }

  /** A record of that length, header and all, with a checksum that is right. */
  append(length: number, { endsInZeros = 0 } = {}): void {
    if (this.#at % PAGE_BYTES === 0) this.#page(0);
    const record = new Uint8Array(length).fill(0x5a);
    record.fill(0, length - endsInZeros);
    const view = new DataView(record.buffer);
    view.setUint32(0, length, true);
    view.setUint32(20, crc32c([...record.subarray(24), ...record.subarray(0, 20)]), true);
    this.begins.push(this.#at);
    this.#write(record);
    this.ends.push(this.#at);
    this.#align();
  }

  #write(content: Uint8Array): void {
    for (let written = 0; written < content.length; ) {
      if (this.#at % PAGE_BYTES === 0) this.#page(content.length - written);
      const part = content.subarray(written, written + PAGE_BYTES - (this.#at % PAGE_BYTES));
      this.bytes.set(part, this.#at);
      this.#at += part.length;
      written += part.length;
    }
  }

  #page(remaining: number): void {
    const isFirst = this.#at === 0;
    this.#view.setUint16(this.#at, MAGIC_OF_15, true);
    this.#view.setUint16(this.#at + 2, (remaining > 0 ? 1 : 0) | (isFirst ? 2 : 0), true);
    this.#view.setUint32(this.#at + 4, 1, true);
    this.#view.setBigUint64(this.#at + 8, this.#start + BigInt(this.#at), true);
    this.#view.setUint32(this.#at + 16, remaining, true);
    if (isFirst) {
      this.#view.setBigUint64(24, 7711967327649486324n, true);
      this.#view.setUint32(32, SEGMENT_BYTES, true);
      this.#view.setUint32(36, PAGE_BYTES, true);
    }
    this.#at += isFirst ? LONG_HEADER : SHORT_HEADER;
  }

  #align(): void {
    this.#at = Math.ceil(this.#at / 8) * 8;
  }
}

/** CRC-32C by its definition: a division of polynomials, bit by bit. */
function crc32c(bytes: readonly number[]): number {
  let crc = 0xffffffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const carries = ((crc ^ (byte >>> bit)) & 1) !== 0;
      crc = (crc >>> 1) ^ (carries ? 0x82f63b78 : 0);
    }
  return ~crc >>> 0;
}
