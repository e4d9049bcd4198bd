import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import { translating } from '../file-error.ts';
import { makeOwnDirectory } from '../lock.ts';
import { asUser, type NativeParts } from '../parts.ts';

const MKFIFO_TIMEOUT_MS = 10_000;

/** What one backup needs on this machine: pipes, a password file, the manifest. Never the backup itself. */
export interface WorkDirectory {
  readonly path: string;
  /** A file of the user that PostgreSQL's programs run as, 0600. Resolves with its path. */
  writeOwn(name: string, content: string): Promise<string>;
  /** FIFOs of that user, 0600. Resolves with their paths. */
  makePipes(names: readonly string[]): Promise<readonly string[]>;
}

/** Makes the directory, removes it whatever happens. What a killed backup has left there is removed first: the lock is held. */
export async function inWorkDirectory<T>(parts: NativeParts, signal: AbortSignal, use: (work: WorkDirectory) => Promise<T>): Promise<T> {
  const { settings } = parts;
  const path = join(settings.directory, 'backup');
  await makeOwnDirectory(parts, settings.directory);
  await translating(`make ${path}`, async () => {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { mode: 0o700 });
    await giveAway(parts, path);
  });
  try {
    return await use({
      path,
      writeOwn: (name, content) => writeOwn(parts, join(path, name), content),
      makePipes: (names) =>
        makePipes(
          parts,
          names.map((name) => join(path, name)),
          signal,
        ),
    });
  } finally {
    await translating(`remove ${path}`, () => rm(path, { recursive: true, force: true }));
  }
}

async function writeOwn(parts: NativeParts, path: string, content: string): Promise<string> {
  return translating(`write ${path}`, async () => {
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
    await giveAway(parts, path);
    return path;
  });
}

async function makePipes({ runner, settings }: NativeParts, paths: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const argv = ['--mode=0600', '--', ...paths];
  const { exitCode, stderrTail } = await runner.run({ file: 'mkfifo', argv, signal, timeoutMs: MKFIFO_TIMEOUT_MS, ...asUser(settings) });
  if (exitCode === 0) return paths;
  const code = /No space left/.test(stderrTail) ? 'DISK_FULL' : 'FILE_SYSTEM_FAILED';
  throw new SpokeError(code, `Cannot make pipes: ${stderrTail.trim()}`);
}

async function giveAway({ settings }: NativeParts, path: string): Promise<void> {
  if (settings.user !== undefined && process.getuid?.() === 0) await chown(path, settings.user.uid, settings.user.gid);
}
