import { classifyWalFile } from '../../domain/postgres/wal-segment.ts';

const TIMELINE_DIGITS = 8;

/**
 * The files of a stopped server's pg_wal that the archive may lack: history files, and the segments from the last
 * archived one on. PostgreSQL asks the archive first and pg_wal second, so one too many costs a copy and no more.
 */
export function filesToSalvage(files: readonly string[], lastArchivedSegment: string | null): readonly string[] {
  return files.filter((name) => isWanted(name, lastArchivedSegment)).sort();
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
