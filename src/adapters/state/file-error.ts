import { translatorWith } from '../common/file-error.ts';

/** Runs `action` in the state directory; whatever node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export const translating = translatorWith(
  'Run this as the user that owns the state directory, or name another stateDirectory in the configuration.',
);
