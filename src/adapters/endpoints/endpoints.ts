import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { EndpointsReader, EndpointsRequestOfFile, EndpointsWriter } from '../../ports/endpoints.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';

/** Readable by all: there is no secret in it. */
const FILE_MODE = 0o644;
const HOOK_TIMEOUT_MS = 60_000;

export function createEndpoints({ runner }: { readonly runner: ProcessRunner }): EndpointsReader & EndpointsWriter {
  return {
    async isCurrent(file, text) {
      return (await readIfThere(file)) === text && (await readIfThere(pendingFile(file))) === undefined;
    },
    publish: (request, context) => publish(request, runner, context),
  };
}

/** While it is there the hook has still to be told. Written before the file changes and removed last: whenever we die, it is told. */
function pendingFile(file: string): string {
  return join(dirname(file), `.${basename(file)}.pending`);
}

async function publish(request: EndpointsRequestOfFile, runner: ProcessRunner, context: OperationContext): Promise<void> {
  const { file, text, hook } = request;
  const pending = pendingFile(file);
  await translating(file, async () => {
    if (hook !== undefined) await replaceDurably(pending, text);
    await replaceDurably(file, text);
  });
  if (hook !== undefined) await runHook(request, hook, runner, context);
  await translating(file, async () => {
    await rm(pending, { force: true });
    await syncDirectory(dirname(file));
  });
}

async function runHook(
  { file, values }: EndpointsRequestOfFile,
  [program = '', ...argv]: readonly string[],
  runner: ProcessRunner,
  { signal, timeoutMs = HOOK_TIMEOUT_MS }: OperationContext,
): Promise<void> {
  const environment = { ...values, SPOKE_ENDPOINTS_FILE: file };
  const { exitCode, stderrTail } = await runner.run({ file: program, argv, environment, signal, timeoutMs });
  if (exitCode === 0) return;
  throw new SpokeError('TOOL_FAILED', `The hook of the endpoints, ${program}, ended with exit code ${exitCode}: ${stderrTail.trim()}`, {
    hint: 'The file is written. Once the hook works: spoke-backup setup endpoints --apply',
  });
}

async function replaceDurably(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const handle = await open(temporary, 'w', FILE_MODE);
  try {
    await keepOwner(handle, path);
    await handle.chmod(FILE_MODE);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** A file that somebody else made stays his. */
async function keepOwner(handle: FileHandle, path: string): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  if (before === undefined || process.geteuid?.() !== 0) return;
  await handle.chown(before.uid, before.gid);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (isErrno(thrown) && thrown.code === 'ENOENT') return undefined;
    throw new SpokeError('FILE_SYSTEM_FAILED', `${path} cannot be read: ${String(thrown)}`, { cause: thrown });
  }
}

async function translating(file: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    if (!isErrno(thrown)) throw thrown;
    throw new SpokeError('FILE_SYSTEM_FAILED', `${file} cannot be written: ${thrown.message}`, { cause: thrown });
  }
}

function isErrno(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'code' in thrown;
}
