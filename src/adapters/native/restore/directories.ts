import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import type { RestoreRequest } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import { CONTROL_FILE } from './extract.ts';
import { runToSuccess, untilNobodyWrites } from './programs.ts';
import { lockFileOf } from './work-files.ts';

/**
 * Sees to it that everything is empty that the backup goes into. What an interrupted run of the same request has left goes, pg_control first;
 * anything else is refused. Throws REFUSED_UNSAFE_DIRECTORY, REFUSED_SERVER_RUNNING, REFUSED_TABLESPACE.
 */
export async function emptyDirectories(
  parts: NativeParts,
  request: RestoreRequest,
  postgresMajor: number,
  context: OperationContext,
): Promise<void> {
  const lockFile = lockFileOf(request);
  if (request.resume) await untilNobodyWrites(parts, lockFile, context);
  await emptyDataDirectory(parts, request, context);
  for (const { location } of request.tablespaceMap)
    await emptyTablespace(parts, { location, postgresMajor, resume: request.resume, lockFile }, context);
}

async function emptyDataDirectory(parts: NativeParts, request: RestoreRequest, context: OperationContext): Promise<void> {
  const { dataDirectory, resume } = request;
  const names = await readdir(dataDirectory);
  if (names.length === 0) return;
  if (!resume)
    throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${dataDirectory} is not empty, and no backup is written over what is there`);
  if (names.includes('postmaster.pid'))
    throw new SpokeError('REFUSED_SERVER_RUNNING', `${dataDirectory} has a postmaster.pid: a server runs there, or was killed`);
  await rm(join(dataDirectory, CONTROL_FILE), { force: true });
  await removeBelow(parts, dataDirectory, lockFileOf(request), context);
}

interface TablespacePlace {
  readonly location: string;
  readonly postgresMajor: number;
  readonly resume: boolean;
  readonly lockFile: string;
}

/** The folder in a tablespace is named by the version of PostgreSQL; another version may have one beside it. */
async function emptyTablespace(
  parts: NativeParts,
  { location, postgresMajor, resume, lockFile }: TablespacePlace,
  context: OperationContext,
): Promise<void> {
  const names = await readdir(location);
  const foreign = names.filter((name) => !resume || !name.startsWith(`PG_${postgresMajor}_`));
  if (foreign.length > 0)
    throw new SpokeError(
      'REFUSED_TABLESPACE',
      `the tablespace would be written where files are already: ${location} has ${foreign.join(', ')}`,
    );
  if (names.length > 0) await removeBelow(parts, location, lockFile, context);
}

/** As the owner, who can be led by no link to what is not his. */
async function removeBelow(parts: NativeParts, directory: string, lockFile: string, context: OperationContext): Promise<void> {
  await runToSuccess(parts, { file: 'find', argv: [directory, '-mindepth', '1', '-delete'], lockFile }, context);
}
