/**
 * What PG_VERSION says while the data directory must not be started. Every postmaster refuses it, since it begins with no number
 * (ValidatePgVersion, miscinit.c), and pg_rewind is the one program that leaves the file as it is (decide_file_action, filemap.c).
 */
const CLOSED = 'spoke-backup-rewinds:';

/** Longer than what it replaces, so that one write over it replaces all of it. */
export function closedVersionText(postgresMajor: number): string {
  return `${CLOSED}${postgresMajor}\n`;
}

/** What PostgreSQL itself writes there. */
export function versionText(postgresMajor: number): string {
  return `${postgresMajor}\n`;
}

/** The major version that PG_VERSION names; undefined where it is something else. */
export function parseVersionFile(text: string): { readonly postgresMajor: number; readonly isClosed: boolean } | undefined {
  const isClosed = text.startsWith(CLOSED);
  const digits = (isClosed ? text.slice(CLOSED.length) : text).trim();
  return /^\d+$/.test(digits) ? { postgresMajor: Number(digits), isClosed } : undefined;
}
