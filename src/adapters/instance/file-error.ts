import { translatorWith } from '../common/file-error.ts';

/** Runs `action`; whatever node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export const translating = translatorWith('Run this as the owner of that directory, or as root.');

/** The value, or undefined where it cannot be read for whatever reason: for hints that may be missing. */
export async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
