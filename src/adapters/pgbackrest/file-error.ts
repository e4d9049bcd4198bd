import { translatorWith } from '../common/file-error.ts';

/** Runs `action`; what node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export const translating = translatorWith('Run this as root, or let the owner of the data directory write there.');
