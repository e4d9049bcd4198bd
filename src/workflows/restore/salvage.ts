import { classifyWalFile } from '../../domain/postgres/wal-segment.ts';

const TIMELINE_DIGITS = 8;
/** Where PostgreSQL notes which files of pg_wal still have to be archived: `<file>.ready`. */
export const ARCHIVE_STATUS = 'archive_status';
const READY = '.ready';

/**
 * The files of a stopped server's pg_wal that the archive may lack: history files, the segments from the last archived one
 * on, and whatever its archiver still had to do, with the notes that say so: whoever takes the server's place goes on with
 * it, or the archive would have a hole for ever. PostgreSQL asks the archive first and pg_wal second, so one too many costs
 * a copy and no more. Notes come last.
 */
export function filesToSalvage(files: readonly string[], lastArchivedSegment: string | null): readonly string[] {
  const waiting = new Set(files.filter(isNote).map((note) => note.slice(ARCHIVE_STATUS.length + 1, -READY.length)));
  const wanted = files.filter((name) => !isNote(name) && (waiting.has(name) || isWanted(name, lastArchivedSegment)));
  const notes = files.filter((name) => isNote(name) && wanted.includes(name.slice(ARCHIVE_STATUS.length + 1, -READY.length)));
  return [...wanted.sort(), ...notes.sort()];
}

/** Whether it is such a note, `archive_status/<file>.ready`. */
export function isNote(name: string): boolean {
  return name.startsWith(`${ARCHIVE_STATUS}/`) && name.endsWith(READY);
}

function isWanted(name: string, lastArchivedSegment: string | null): boolean {
  switch (classifyWalFile(name)) {
    case 'history':
      return true;
    case 'segment':
      return (
        lastArchivedSegment === null ||
        (name.slice(0, TIMELINE_DIGITS) >= lastArchivedSegment.slice(0, TIMELINE_DIGITS) &&
          name.slice(TIMELINE_DIGITS) >= lastArchivedSegment.slice(TIMELINE_DIGITS))
      );
    case 'partial':
    case 'backup':
    case 'other':
      return false;
  }
}
