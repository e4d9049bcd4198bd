import { stat } from 'node:fs/promises';
import { SpokeError } from '../../../errors.ts';

/** Throws SECRET_UNAVAILABLE where there is no such file, or others than its owner can read it. */
export async function requirePrivateFile(path: string): Promise<void> {
  const stats = await stat(path).catch((thrown: unknown) => {
    throw unavailable(
      `${path} cannot be read (${thrown instanceof Error ? thrown.message : String(thrown)})`,
      `ls -l ${path}`,
      path,
      thrown,
    );
  });
  if (!stats.isFile()) throw unavailable(`${path} is not a file`, `ls -l ${path}`, path);
  if ((stats.mode & 0o077) === 0) return;
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  throw unavailable(`${path} is open to others than its owner (mode ${mode})`, `chmod 600 ${path}`, path);
}

function unavailable(what: string, hint: string, identityFile: string, cause?: unknown): SpokeError {
  return new SpokeError('SECRET_UNAVAILABLE', `The private key of age: ${what}.`, { details: { identityFile }, hint, cause });
}
