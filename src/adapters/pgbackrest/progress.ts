import type { Progress } from '../../ports/operation.ts';

/**
 * A line of the log at level detail, for example `DETAIL: backup file /data/base/5/1255 (768KB, 12.34%) checksum …`. In an
 * incremental backup files may be matched instead, and with bundles the parenthesis begins with the number of the bundle.
 */
const FILE_LINE = /\b(?:backup|match|restore)(?: zeroed)? file .*\((?:[^()]*, )?(\d{1,3}(?:\.\d+)?)%\)/;
const PHASES: readonly (readonly [RegExp, string])[] = [
  [/execute (?:non-)?exclusive backup start/, 'waiting for the checkpoint'],
  [/execute (?:non-)?exclusive backup stop/, 'waiting for the WAL of the backup'],
  [/INFO: check archive for segment/, 'waiting for the WAL of the backup'],
  [/INFO: expire command begin/, 'expiring'],
  [/INFO: restore global\/pg_control/, 'syncing'],
];

/** The progress in a line of the log, where it tells some. */
export function readProgress(line: string): Progress | undefined {
  const percent = FILE_LINE.exec(line)?.[1];
  if (percent !== undefined) return { phase: 'copy', percent: Number(percent) };
  const phase = PHASES.find(([pattern]) => pattern.test(line))?.[1];
  return phase === undefined ? undefined : { phase };
}

/** The label that `backup` announces once the backup is complete in the repository; what follows is only expiry. */
export function readNewLabel(line: string): string | undefined {
  return /INFO: new backup label = (\S+)/.exec(line)?.[1];
}
