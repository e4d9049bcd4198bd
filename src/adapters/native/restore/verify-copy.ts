import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import { CONTROL_FILE, CONTROL_FILE_ASIDE } from './extract.ts';
import { firstLine, postgresProgram, runAsOwner } from './programs.ts';

export interface VerifyCopyRequest {
  readonly directory: string;
  readonly manifestFile: string;
  readonly lockFile: string;
  readonly postgresMajor: number;
  /** Of what, for people. */
  readonly label: string;
  /** Whether pg_control lies aside: then it cannot be looked at, and its archive's checksum has to do. */
  readonly isControlAside: boolean;
}

/**
 * Compares every file with the manifest that the server made when it sent them: PostgreSQL's own pg_verifybackup. WAL is left out, since none is in
 * the backup. Throws BACKUP_DAMAGED.
 */
export async function verifyCopy(parts: NativeParts, request: VerifyCopyRequest, context: OperationContext): Promise<void> {
  const { directory, manifestFile, postgresMajor, label, isControlAside, lockFile } = request;
  const ignored = isControlAside ? [CONTROL_FILE, CONTROL_FILE_ASIDE].map((path) => `--ignore=${path}`) : [];
  const file = await postgresProgram(parts, 'pg_verifybackup', postgresMajor);
  const argv = ['--no-parse-wal', '--exit-on-error', `--manifest-path=${manifestFile}`, ...ignored, directory];
  const { exitCode, stdout, stderrTail } = await runAsOwner(parts, { file, argv, lockFile }, context);
  if (exitCode === 0) return;
  const said = firstLine(`${stderrTail}\n${stdout}`, /error: /) ?? `pg_verifybackup ended with exit code ${exitCode}`;
  throw new SpokeError('BACKUP_DAMAGED', `backup ${label} is damaged: ${said.replace(/^.*?error: /, '')}`, {
    details: { label, stderrTail },
  });
}
