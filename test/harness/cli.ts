import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
export const PROGRAM = join(ROOT, 'bin/spoke-backup');
const BUILT = join(ROOT, 'dist/main.cjs');
const TIME_LIMIT_MS = 240_000;

/** Whom a program runs as; only root can choose. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface CliOptions {
  /** SPOKE_BACKUP_CONFIG. */
  readonly config?: string;
  readonly account?: Account | undefined;
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What --json prints of an error, with what went to stderr. */
export interface CliError {
  readonly code: string;
  readonly exitCode: number;
  readonly message: string;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}

/** Builds the program where the sources are newer than what was built. */
export async function ensureBuilt(): Promise<void> {
  const built = modifiedMs(BUILT);
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const isStale = sources.some((entry) => modifiedMs(join(entry.parentPath, entry.name)) > built);
  // In a process of its own: esbuild's service would outlive the tests of the file.
  if (isStale) await outputOf(process.execPath, [join(ROOT, 'scripts/build.ts')]);
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Runs a program to its end; rejects where it cannot be started or takes too long. */
export async function runProgram(file: string, argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { account, config } = options;
  const child = spawn(file, argv, {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NO_COLOR: '1',
      ...(config === undefined ? {} : { SPOKE_BACKUP_CONFIG: config }),
      ...(account === undefined ? {} : { HOME: '/', USER: account.name, LOGNAME: account.name }),
    },
    ...(account === undefined || process.getuid?.() !== 0 ? {} : { uid: account.uid, gid: account.gid }),
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const limit = setTimeout(() => child.kill('SIGTERM'), TIME_LIMIT_MS);
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject).on('close', (...ended) => resolve(ended));
    });
    const text = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
    if (code === null) throw new Error(`${file} ${argv.join(' ')} was ended by ${String(signal)}:\n${text.stderr}`);
    return { exitCode: code, ...text };
  } finally {
    clearTimeout(limit);
  }
}

/** Runs a program and gives its stdout; throws with all its output where it fails. */
export async function outputOf(file: string, argv: readonly string[], options: CliOptions = {}): Promise<string> {
  const result = await runProgram(file, argv, options);
  if (result.exitCode !== 0) throw new Error(`${file} ${argv.join(' ')}: exit code ${result.exitCode}\n${result.stderr}${result.stdout}`);
  return result.stdout.trim();
}

/** Runs bin/spoke-backup with --json. */
export async function spoke(argv: readonly string[], options: CliOptions = {}): Promise<CliResult & { readonly document: unknown }> {
  const result = await runProgram(PROGRAM, [...argv, '--json'], options);
  return { ...result, document: parsed(argv, result) };
}

function parsed(argv: readonly string[], { exitCode, stdout, stderr }: CliResult): unknown {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`spoke-backup ${argv.join(' ')}: exit code ${exitCode}, and stdout is no JSON document:\n${stdout}\n${stderr}`);
  }
}

/** Runs bin/spoke-backup, which has to succeed. */
export async function spokeSuccessfully(argv: readonly string[], options: CliOptions = {}): ReturnType<typeof spoke> {
  const result = await spoke(argv, options);
  if (result.exitCode === 0) return result;
  const { exitCode, stderr, document } = result;
  throw new Error(`spoke-backup ${argv.join(' ')}: exit code ${exitCode}\n${stderr}\n${JSON.stringify(document, undefined, 2)}`);
}

/** Runs bin/spoke-backup, which has to succeed; gives its JSON document. */
export async function spokeJson<T>(argv: readonly string[], options: CliOptions = {}): Promise<T> {
  return (await spokeSuccessfully(argv, options)).document as T;
}

/** Runs bin/spoke-backup, which has to fail; gives its error. */
export async function spokeError(argv: readonly string[], options: CliOptions = {}): Promise<CliError> {
  const { exitCode, document, stderr } = await spoke(argv, options);
  const { error } = document as { readonly error?: Omit<CliError, 'stderr'> };
  if (error === undefined || exitCode === 0) throw new Error(`spoke-backup ${argv.join(' ')} did not fail:\n${JSON.stringify(document)}`);
  if (error.exitCode !== exitCode) throw new Error(`exit code ${exitCode}, but the document says ${error.exitCode}`);
  return { ...error, stderr };
}
