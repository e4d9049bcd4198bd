import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { EngineVersion } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import { asUser, type NativeParts } from '../parts.ts';

const VERSION_TIMEOUT_MS = 10_000;
/** pg_basebackup --incremental. */
const INCREMENTALS_FROM = 17;
const VERSION = /^pg_basebackup \(PostgreSQL\) (\d+)(\S*)/;

/** What is known of the pg_basebackup beside a server's programs. */
export interface BackupProgram {
  readonly file: string;
  readonly major: number;
  /** `pg_basebackup (PostgreSQL) 17.12` */
  readonly text: string;
}

/** The program for servers of a major version. Throws TOOL_MISSING, TOOL_UNSUPPORTED where it is older than the server. */
export async function findBackupProgram(
  { settings, runner }: Pick<NativeParts, 'settings' | 'runner'>,
  postgresMajor: number,
  { signal }: OperationContext,
): Promise<BackupProgram> {
  const file = `${await settings.binDirectoryOf(postgresMajor)}/pg_basebackup`;
  const { stdout } = await runner.run({
    file,
    argv: ['--version'],
    readsOnly: true,
    signal,
    timeoutMs: VERSION_TIMEOUT_MS,
    ...asUser(settings),
  });
  const major = VERSION.exec(stdout)?.[1];
  if (major === undefined) throw new SpokeError('TOOL_UNSUPPORTED', `${file} does not say its version: ${stdout.trim().slice(0, 100)}`);
  if (Number(major) < postgresMajor)
    throw new SpokeError('TOOL_UNSUPPORTED', `${file} is of PostgreSQL ${major}, older than the server (${postgresMajor})`, {
      hint: `Install the programs of PostgreSQL ${postgresMajor}.`,
    });
  return { file, major: Number(major), text: stdout.trim() };
}

/** The engine's version is that of the pg_basebackup that the cluster's server needs. */
export async function readBackupVersion(parts: NativeParts, catalog: NativeCatalog, context: OperationContext): Promise<EngineVersion> {
  const { major, text } = await findBackupProgram(parts, await findMajor(parts, catalog, context), context);
  return {
    name: 'native',
    version: text.replace(/^pg_basebackup \(PostgreSQL\) /, ''),
    newestPostgres: major,
    copiesIntoSeveral: true,
    incrementalsFrom: INCREMENTALS_FROM,
    needsFullOnNewTimeline: true,
  };
}

/** As a repository notes it, else as a server answers: one of both is there. */
async function findMajor(parts: NativeParts, catalog: NativeCatalog, context: OperationContext): Promise<number> {
  const sources = [
    ...parts.settings.repositories.map(
      ({ name }) =>
        async () =>
          (await catalog.readCluster(name, context.signal))?.postgresMajor,
    ),
    ...parts.settings.nodes.map((node) => async () => {
      const address = await node.address();
      return address === undefined ? undefined : (await parts.postgres.observeServer(address, context)).postgresMajor;
    }),
  ];
  let why: SpokeError | undefined;
  for (const read of sources) {
    try {
      const major = await read();
      if (major !== undefined) return major;
    } catch (thrown) {
      why = asSpokeError(thrown);
    }
  }
  throw why ?? new SpokeError('POSTGRES_UNAVAILABLE', 'no node of the cluster has a URL in the configuration');
}
