import { addMicros, type Instant } from '../time/instant.ts';

/**
 * When a run of that occurrence may begin: up to `jitterSeconds` later, so that many clusters do not begin at once. Of the
 * names and the occurrence alone, so that a daemon that starts anew comes to the same.
 */
export function withJitter(cluster: string, schedule: string, occurrence: Instant, jitterSeconds: number): Instant {
  if (jitterSeconds === 0) return occurrence;
  const seconds = hash(`${cluster}\0${schedule}\0${occurrence}`) % (jitterSeconds + 1);
  return addMicros(occurrence, BigInt(seconds) * 1_000_000n);
}

/** 32 bits: FNV-1a, and then the bits mixed as MurmurHash3 does at its end, so that neighbouring instants lie far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
