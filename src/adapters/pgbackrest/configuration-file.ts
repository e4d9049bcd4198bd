import { chmod, chown, lstat, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { replaceFile } from '../common/replace-file.ts';
import { asUser, type CommandParts } from './command.ts';
import { configurationText } from './configuration.ts';
import { translating } from './file-error.ts';
import type { PgbackrestSettings } from './settings.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o750;
/** Of directories above: whom they do not belong to can pass through and see nothing. */
const PASSABLE_MODE = 0o711;
const PROBE_TIMEOUT_MS = 10_000;

/** Whether the file holds what we would write, and only its owner can read it. */
export async function isConfigurationFileCurrent(settings: PgbackrestSettings): Promise<boolean> {
  try {
    const { mode, uid } = await lstat(settings.configFile);
    if ((mode & 0o777) !== FILE_MODE || (settings.user !== undefined && uid !== settings.user.uid)) return false;
    return (await readFile(settings.configFile, 'utf8')) === configurationText(settings);
  } catch {
    return false;
  }
}

/**
 * Writes pgbackrest.conf, whole or not at all, 0600 from its first byte on, and makes the directories that it names.
 * Throws REFUSED_PRECONDITION where the owner of the data directory, whom PostgreSQL runs as, cannot read it there.
 */
export async function writeConfigurationFile(parts: CommandParts, context: OperationContext): Promise<void> {
  const { settings } = parts;
  const text = configurationText(settings);
  await translating(`write ${settings.configFile}`, async () => {
    for (const path of [dirname(settings.configFile), settings.logPath, settings.lockPath, settings.spoolPath])
      await makeOwned(path, settings);
    await replaceFile(settings.configFile, text, settings.user, FILE_MODE);
  });
  await assertReadable(parts, context);
}

/** Makes the directories of local repositories that are not there yet. */
export async function makeLocalRepositories(settings: PgbackrestSettings): Promise<void> {
  for (const repository of settings.repositories) {
    if (repository.kind !== 'local') continue;
    await translating(`make the repository ${repository.path}`, () => makeOwned(repository.path, settings));
  }
}

/** Makes what is missing of a path: the last directory for pgBackRest's user, those above such that it can pass through. */
async function makeOwned(path: string, { user }: PgbackrestSettings): Promise<void> {
  const above = await mkdir(dirname(path), { recursive: true, mode: PASSABLE_MODE });
  for (let made = dirname(path); above !== undefined && made.length >= above.length; made = dirname(made)) await chmod(made, PASSABLE_MODE);
  if ((await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })) === undefined) return;
  if (user !== undefined) await chown(path, user.uid, user.gid);
  await chmod(path, DIRECTORY_MODE);
}

async function assertReadable({ settings, runner }: CommandParts, { signal }: OperationContext): Promise<void> {
  const { configFile, user } = settings;
  if (user === undefined) return;
  const probe = { file: 'test', argv: ['-r', configFile], signal, timeoutMs: PROBE_TIMEOUT_MS, ...asUser(settings) };
  if ((await runner.run(probe)).exitCode === 0) return;
  const closed = await closedDirectory(dirname(configFile), user.uid);
  throw new SpokeError(
    'REFUSED_PRECONDITION',
    `${user.name} cannot read ${configFile}, which archive_command needs: ${closed} is closed to it.`,
    {
      hint: `chmod o+x ${closed}`,
    },
  );
}

/** The highest directory on the way that a user cannot pass through; the last one where none seems closed. */
async function closedDirectory(path: string, uid: number): Promise<string> {
  const above = dirname(path) === path ? undefined : await closedDirectory(dirname(path), uid);
  if (above !== undefined && (await isClosed(above, uid))) return above;
  return path;
}

async function isClosed(path: string, uid: number): Promise<boolean> {
  const { mode, uid: owner } = await stat(path);
  return owner !== uid && (mode & 0o001) === 0;
}
