import { asSpokeError, type ErrorCode } from '../../../errors.ts';

/** What spoke-wal-get makes of a file that it does not get: its exit code, and the word for it in the server's log. */
export interface WalAnswer {
  readonly code: number;
  readonly word: string;
  readonly cause: string;
}

export const NOT_THERE_ANSWER: WalAnswer = { code: 1, word: 'not-there', cause: '' };

/** The numbers are those of bin/spoke-wal-get. */
const ANSWERS: Readonly<Partial<Record<ErrorCode, Omit<WalAnswer, 'cause'>>>> = {
  BACKUP_DAMAGED: { code: 65, word: 'damaged' },
  DISK_FULL: { code: 74, word: 'cannot-write' },
  FILE_SYSTEM_FAILED: { code: 74, word: 'cannot-write' },
  SECRET_UNAVAILABLE: { code: 77, word: 'no-key' },
};
const UNAVAILABLE = { code: 69, word: 'unavailable' };

/** Why a file could not be brought although it may be there. On one line. */
export function answerOf(thrown: unknown): WalAnswer {
  const { code, message } = asSpokeError(thrown);
  return { ...(ANSWERS[code] ?? UNAVAILABLE), cause: message.replaceAll(/\s+/g, ' ') };
}
