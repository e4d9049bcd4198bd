import { readFile, readdir, stat } from 'node:fs/promises';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { errnoOf } from '../common/file-error.ts';
import { ifReadable } from './file-error.ts';
import { identityOf } from './identity.ts';

const SERVER_NAME = /postgres|postmaster/;
const PS_TIMEOUT_MS = 5_000;

/** Whether a process serves a certain data directory, as far as can be seen. */
export type ServesDirectory = 'yes' | 'no' | 'unknown';

/** True where the process exists and is no zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EPERM') return false;
  }
  const state = await readStat(pid);
  return state === undefined || !['Z', 'X'].includes(state.state);
}

/**
 * PostgreSQL makes its data directory its working directory, so the working directory decides wherever it can be read:
 * by root and by the server's own user. Everybody else can read the command line.
 */
export async function servesDirectory(pid: number, identity: string, runner: ProcessRunner): Promise<ServesDirectory> {
  if (!(await isAlive(pid))) return 'no';
  const name = await nameOf(pid, runner);
  if (name === undefined) return 'unknown';
  if (!SERVER_NAME.test(name)) return 'no';
  const workingDirectory = await ifReadable(stat(`/proc/${pid}/cwd`, { bigint: true }));
  if (workingDirectory !== undefined) return identityOf(workingDirectory) === identity ? 'yes' : 'no';
  const named = dataDirectoryArgument(await readCommandLine(pid));
  const directory = named === undefined ? undefined : await ifReadable(stat(named, { bigint: true }));
  if (directory === undefined) return 'unknown';
  return identityOf(directory) === identity ? 'yes' : 'no';
}

/** Every process that serves the directory, the postmaster first. Empty where there is no /proc. */
export async function serversOf(identity: string, runner: ProcessRunner): Promise<readonly number[]> {
  const names = (await ifReadable(readdir('/proc'))) ?? [];
  const found: { pid: number; parent: number }[] = [];
  for (const pid of names.filter((name) => /^\d+$/.test(name)).map(Number)) {
    const name = await commandName(pid);
    if (name === undefined || !SERVER_NAME.test(name)) continue;
    if ((await servesDirectory(pid, identity, runner)) !== 'yes') continue;
    found.push({ pid, parent: (await readStat(pid))?.parentPid ?? 0 });
  }
  const pids = new Set(found.map(({ pid }) => pid));
  const isPostmaster = ({ parent }: { parent: number }) => !pids.has(parent);
  return [...found.filter(isPostmaster), ...found.filter((one) => !isPostmaster(one))].map(({ pid }) => pid);
}

/** The argument of -D in a server's command line. Backends overwrite theirs with a title and have none. */
export function dataDirectoryArgument(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((argument) => argument.startsWith('-D'));
  const found = argv[index];
  const directory = found === '-D' ? argv[index + 1] : found?.slice(2);
  return directory?.startsWith('/') ? directory : undefined;
}

async function nameOf(pid: number, runner: ProcessRunner): Promise<string | undefined> {
  const name = await commandName(pid);
  if (name !== undefined || process.platform === 'linux') return name;
  const signal = AbortSignal.timeout(PS_TIMEOUT_MS);
  const argv = ['-p', String(pid), '-o', 'comm='];
  const result = await ifReadable(runner.run({ file: 'ps', argv, signal, timeoutMs: PS_TIMEOUT_MS }));
  return result?.exitCode === 0 ? result.stdout.trim() : undefined;
}

async function commandName(pid: number): Promise<string | undefined> {
  return (await ifReadable(readFile(`/proc/${pid}/comm`, 'utf8')))?.trim();
}

async function readCommandLine(pid: number): Promise<readonly string[]> {
  return ((await ifReadable(readFile(`/proc/${pid}/cmdline`, 'utf8'))) ?? '').split('\0');
}

/** State and parent from /proc/<pid>/stat: after the command name, which is in brackets and may hold anything. */
async function readStat(pid: number): Promise<{ readonly state: string; readonly parentPid: number } | undefined> {
  const text = await ifReadable(readFile(`/proc/${pid}/stat`, 'utf8'));
  const [state, parentPid] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || parentPid === undefined ? undefined : { state, parentPid: Number(parentPid) };
}
