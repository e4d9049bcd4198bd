import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SpokeError } from '../errors.ts';
import type { ProcessRunner } from '../ports/process-runner.ts';
import type { NodeConfig } from './model.ts';
import { addPassword, isPostgresUrl, urlHasPassword } from './postgres-url.ts';
import type { SecretReference, SecretText } from './secrets.ts';

/** What reading a secret may need. */
export interface SecretContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Runs a passwordCommand. */
  readonly processes: ProcessRunner;
  readonly signal: AbortSignal;
  /** For one passwordCommand; 30 seconds where it is not given. */
  readonly timeoutMs?: number;
}

const MAX_SECRET_BYTES = 64 * 1024;

/**
 * Reads the secret. Not cached: secrets are rotated.
 * Throws SECRET_UNAVAILABLE, whose message names the reference and never what was read.
 */
export async function resolveSecret(reference: SecretReference, context: SecretContext): Promise<string> {
  const source = reference.source();
  switch (source.kind) {
    case 'env': {
      const value = context.environment[source.variable];
      if (value === undefined) throw unavailable(reference, `the environment variable ${source.variable} is not set`);
      return checked(reference, value);
    }
    case 'file':
      return checked(reference, withoutLineEnd(await readSecretFile(reference, source.path)));
    case 'command':
      return checked(reference, withoutLineEnd(await runSecretCommand(reference, source.argv, context)));
  }
}

/**
 * Resolves every reference of a text. Secrets that stand in the user, password or parameters of a URL are
 * percent-encoded, so that they may hold any character.
 */
export async function resolveSecretText(text: SecretText, context: SecretContext): Promise<string> {
  const parts = text.parts();
  const lastAt = parts.findLastIndex((part) => typeof part === 'string' && part.includes('@'));
  const query = parts.findIndex((part) => typeof part === 'string' && part.includes('?'));
  let resolved = '';
  for (const [index, part] of parts.entries()) {
    if (typeof part === 'string') {
      resolved += part;
      continue;
    }
    const value = await resolveSecret(part, context);
    const encode = index > 0 && (index < lastAt || (query !== -1 && index > query));
    resolved += encode ? encodeURIComponent(value) : value;
  }
  return resolved;
}

/** The URL of a server with its password in it: for connecting, never for printing. Undefined where the node has no URL. */
export async function resolveNodeUrl(node: NodeConfig, context: SecretContext): Promise<string | undefined> {
  if (node.url === undefined) return undefined;
  const url = await resolveSecretText(node.url, context);
  if (!isPostgresUrl(url)) {
    throw new SpokeError('SECRET_UNAVAILABLE', `the URL ${node.url.describe()} of ${node.name} does not begin with postgresql://`);
  }
  if (node.password === undefined || urlHasPassword(url)) return url;
  return addPassword(url, await resolveSecret(node.password, context));
}

/** Opened once and looked at through that one descriptor: what is checked is what is read. */
async function readSecretFile(reference: SecretReference, path: string): Promise<string> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    throw unavailable(reference, `${path} cannot be opened (${errnoOf(thrown)})`);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw unavailable(reference, `${path} is not a file`);
    if ((stats.mode & 0o077) !== 0) {
      const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
      throw unavailable(reference, `${path} is open to others than its owner (mode ${mode})`, `chmod 600 ${path}`);
    }
    if (stats.size > MAX_SECRET_BYTES) throw unavailable(reference, `${path} is larger than ${MAX_SECRET_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (thrown) {
    throw thrown instanceof SpokeError ? thrown : unavailable(reference, `${path} cannot be read (${errnoOf(thrown)})`);
  } finally {
    await file.close();
  }
}

/** Neither its output nor what it says on stderr is repeated: both may hold the secret. */
async function runSecretCommand(reference: SecretReference, argv: readonly string[], context: SecretContext): Promise<string> {
  const [file = '', ...rest] = argv;
  const environment = Object.fromEntries(
    Object.entries(context.environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const timeoutMs = context.timeoutMs ?? 30_000;
  let result: Awaited<ReturnType<ProcessRunner['run']>>;
  try {
    const request = { file, argv: rest, environment, signal: context.signal, timeoutMs };
    result = await context.processes.run({ ...request, maxStdoutBytes: MAX_SECRET_BYTES });
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    const code = thrown instanceof SpokeError ? thrown.code : 'it could not be started';
    throw unavailable(reference, `${file} failed (${code})`);
  }
  if (result.exitCode === 0) return result.stdout;
  throw unavailable(reference, `${file} ended with exit code ${result.exitCode}`, 'Run the passwordCommand by hand to see why.');
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}

/** A line break would begin a new line in the files that secrets are handed on in. */
function checked(reference: SecretReference, value: string): string {
  if (value === '') throw unavailable(reference, 'it is empty');
  if (/[\0\r\n]/.test(value)) throw unavailable(reference, 'it has more than one line, or a NUL, in it');
  return value;
}

function errnoOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : 'unknown reason';
}

function unavailable(reference: SecretReference, why: string, hint?: string): SpokeError {
  const options = { details: { reference: reference.describe() } };
  const message = `the secret ${reference.describe()} cannot be read: ${why}`;
  return new SpokeError('SECRET_UNAVAILABLE', message, hint === undefined ? options : { ...options, hint });
}
