import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { ProcessRequest } from '../../ports/process-runner.ts';
import { childEnvironment } from './environment.ts';

/** What is really started for a request. */
export interface Launch {
  readonly file: string;
  readonly argv: readonly string[];
  readonly environment: Record<string, string>;
  readonly cwd: string;
  /** Set where Node itself has to switch the user. */
  readonly uid?: number;
  readonly gid?: number;
}

/** Whether util-linux's setpriv is there and knows what we ask of it. */
export interface Setpriv {
  readonly file: string;
}

/** Where we live, SIGKILL is ours to send; timeout sends it later, where we do not. */
const LATER_MS = 3_000;

/** Programs that a child is started through, where they are there. */
export interface Launchers {
  readonly setpriv?: Setpriv | undefined;
  /** GNU coreutils' timeout. */
  readonly timeout?: string | undefined;
  /** Between our own SIGTERM and SIGKILL. */
  readonly graceMs: number;
}

/**
 * Through setpriv, where there is one, for two things Node cannot do: the kernel ends the child when we are killed by
 * SIGKILL (--pdeathsig), and a switched user gets its supplementary groups (a TLS key may be readable by such a group only).
 * The kernel tells the first process alone: through timeout it ends the rest of its group as well. pgBackRest's workers
 * would otherwise go on for half a minute, in files that a resumed run writes. What only reads is started without, two
 * milliseconds sooner.
 * Throws TOOL_MISSING, or REFUSED_PRECONDITION where another user was asked for and we are not root.
 */
export function launchOf(request: ProcessRequest, { setpriv, timeout, graceMs }: Launchers): Launch {
  const environment = childEnvironment(request.user?.uid ?? process.getuid?.() ?? 0, request.environment ?? {});
  const file = findExecutable(request.file, environment['PATH'] ?? '');
  const cwd = request.cwd ?? '/';
  const user = userToSwitchTo(request);
  if (!setpriv) return { file, argv: request.argv, environment, cwd, ...user };
  const hasAccount = environment['USER'] !== undefined;
  const switching = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, hasAccount ? '--init-groups' : '--clear-groups'] : [];
  const ending = timeout === undefined || request.readsOnly === true ? [] : [timeout, `--kill-after=${(graceMs + LATER_MS) / 1000}`, '0'];
  return { file: setpriv.file, argv: ['--pdeathsig=TERM', ...switching, '--', ...ending, file, ...request.argv], environment, cwd };
}

function userToSwitchTo(request: ProcessRequest): { uid: number; gid: number } | undefined {
  const uid = process.getuid?.();
  if (!request.user || uid === undefined || request.user.uid === uid) return undefined;
  if (uid === 0) return { uid: request.user.uid, gid: request.user.gid };
  throw new SpokeError(
    'REFUSED_PRECONDITION',
    `${request.file} must run as uid ${request.user.uid}, but this program runs as uid ${uid} and only root can switch.`,
    { hint: `Run it as root, or as that user: sudo -u '#${request.user.uid}' spoke-backup …` },
  );
}

/** The path of a program: `file` itself where it holds a slash, else the first of that name in PATH. Throws TOOL_MISSING. */
export function findExecutable(file: string, path: string): string {
  if (file.includes('\0')) throw missing(file, 'its name holds a NUL byte');
  if (file.includes('/')) {
    const candidate = resolve(file);
    if (isExecutable(candidate)) return candidate;
    throw missing(file, 'there is no executable file of that name');
  }
  for (const directory of path.split(delimiter)) {
    if (isAbsolute(directory) && isExecutable(join(directory, file))) return join(directory, file);
  }
  throw missing(file, `not in PATH (${path})`);
}

function missing(file: string, why: string): SpokeError {
  return new SpokeError('TOOL_MISSING', `${file} cannot be started: ${why}.`, { details: { tool: file } });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
