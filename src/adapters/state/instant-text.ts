import { type Instant, instantOfMicros } from '../../domain/time/instant.ts';

const ISO_UTC = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.(\d{6})Z$/;
const MICROS_PER_SECOND = 1_000_000n;

/** `2026-11-22T21:16:28.123456Z`: with every digit that an instant has. */
export function instantToText(instant: Instant): string {
  const micros: bigint = instant;
  const fraction = ((micros % MICROS_PER_SECOND) + MICROS_PER_SECOND) % MICROS_PER_SECOND;
  const seconds = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${fraction.toString().padStart(6, '0')}Z`;
}

/** Reads what instantToText wrote; undefined where it is anything else. */
export function instantOfText(text: unknown): Instant | undefined {
  const match = typeof text === 'string' ? ISO_UTC.exec(text) : null;
  const millis = Date.parse(`${match?.[1]}Z`);
  if (match?.[2] === undefined || Number.isNaN(millis)) return undefined;
  return instantOfMicros(BigInt(millis) * 1000n + BigInt(match[2]));
}
