import { lstat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CLUSTER_KEY } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { translating } from '../file-error.ts';
import { makeOwnDirectory } from '../lock.ts';
import { asUser, type NativeParts } from '../parts.ts';
import { accessText } from './access-text.ts';
import { configurationText, recipientsText } from './configuration-text.ts';
import { replaceFile } from '../../common/replace-file.ts';
import { accessFileOf, confFileOf, destinationsOf, errorsOf, failedOf, homeOf, recipientsFileOf, sumsOf, todoOf } from './places.ts';

const FILE_MODE = 0o644;
const SECRET_FILE_MODE = 0o600;
const PROBE_TIMEOUT_MS = 10_000;

/** Whether the files hold what we would write, and whoever runs PostgreSQL can read them. */
export async function isConfigurationCurrent({ settings }: Pick<NativeParts, 'settings'>): Promise<boolean> {
  try {
    for (const [path, text, fileMode] of await filesOf(settings)) {
      const { mode } = await lstat(path);
      if ((mode & 0o777) !== fileMode || (await readFile(path, 'utf8')) !== text) return false;
    }
    for (const directory of directoriesOf(settings)) if (!(await lstat(directory)).isDirectory()) return false;
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes what the WAL programs read, each file whole or not at all, and makes the directories of the spool. Throws REFUSED_PRECONDITION where the
 * owner of the data directory, whom PostgreSQL runs as, cannot read it there.
 */
export async function writeConfiguration(parts: NativeParts): Promise<void> {
  const { settings } = parts;
  for (const directory of directoriesOf(settings)) await makeOwnDirectory(parts, directory);
  for (const [path, text, mode] of await filesOf(settings))
    await translating(`write ${path}`, () => replaceFile(path, text, settings.user, mode));
  await assertReadable(parts);
}

/**
 * The spool, where it is home, is of the same cluster as the repositories: what is another's must not get into it. Idempotent; where
 * no repository tells yet it is left for later.
 */
export async function adoptCluster({ settings }: NativeParts, context: OperationContext): Promise<void> {
  const home = homeOf(settings);
  if (home.repository !== undefined) return;
  for (const repository of settings.repositories) {
    const found = await (await repository.open()).read(CLUSTER_KEY, context.signal);
    if (found === undefined) continue;
    const path = join(home.directory, CLUSTER_KEY);
    const present = await readFile(path).catch(() => undefined);
    if (present === undefined || !present.equals(found))
      await translating(`write ${path}`, () => replaceFile(path, found, settings.user, 0o644));
    return;
  }
}

type OwnFile = readonly [path: string, text: string, mode: number];

async function filesOf(settings: NativeParts['settings']): Promise<readonly OwnFile[]> {
  const recipients: readonly OwnFile[] =
    settings.encryption === undefined ? [] : [[recipientsFileOf(settings), recipientsText(settings), FILE_MODE]];
  const access = await accessText(settings);
  return [
    ...recipients,
    ...(access === undefined ? [] : [[accessFileOf(settings), access, SECRET_FILE_MODE] as const]),
    [confFileOf(settings), configurationText(settings), FILE_MODE],
  ];
}

function directoriesOf(settings: NativeParts['settings']): readonly string[] {
  const home = homeOf(settings);
  return [
    ...(home.repository === undefined ? [home.directory] : []),
    ...[errorsOf(settings), failedOf(settings), sumsOf(settings)],
    ...destinationsOf(settings).map(({ name }) => todoOf(settings, name)),
  ];
}

async function assertReadable({ settings, runner }: NativeParts): Promise<void> {
  const { user } = settings;
  if (user === undefined) return;
  const file = confFileOf(settings);
  const probe = { file: 'test', argv: ['-r', file], signal: AbortSignal.timeout(PROBE_TIMEOUT_MS), timeoutMs: PROBE_TIMEOUT_MS };
  if ((await runner.run({ ...probe, ...asUser(settings) })).exitCode === 0) return;
  throw new SpokeError(
    'REFUSED_PRECONDITION',
    `${user.name} cannot read ${file}, which archive_command needs: a directory above is closed to it.`,
    { hint: `See which: namei -l ${dirname(file)}` },
  );
}
