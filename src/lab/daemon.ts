import { spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SpokeError } from '../errors.ts';
import { readStartIdentity } from './process-table.ts';

/** Whom processes run as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** A server of the lab, which goes on when this program has ended. */
export interface DaemonRequest {
  readonly name: string;
  readonly file: string;
  readonly argv: readonly string[];
  readonly workingDirectory: string;
  /** Gets stdout and stderr. */
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Another account than our own; only root can. */
  readonly account?: Account;
}

/** A daemon as it is written down in the lab directory. */
export interface DaemonRecord {
  readonly name: string;
  readonly pid: number;
  /** See ProcessFacts.startIdentity. */
  readonly startIdentity: string;
}

/** In the environment of what the lab starts: so it is found even if we die before its pid is written down. */
export const LAB_MARK = 'SPOKE_LAB_PROCESS';

/** Starts it in a session of its own and writes its pid down below `labDirectory`. Returns while it still gets ready. */
export async function startDaemon(labDirectory: string, request: DaemonRequest): Promise<DaemonRecord> {
  const log = await open(request.logFile, 'a', 0o640);
  try {
    const child = spawn(request.file, [...request.argv], {
      cwd: request.workingDirectory,
      env: { ...daemonEnvironment(labDirectory), ...request.environment },
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...(request.account !== undefined &&
        request.account.uid !== process.getuid?.() && { uid: request.account.uid, gid: request.account.gid }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(new SpokeError('TOOL_FAILED', `${request.file} cannot be started: ${cause.message}`, { cause })),
      );
    });
    child.unref();
    return await recordDaemon(labDirectory, request, child.pid ?? 0);
  } finally {
    await log.close();
  }
}

function daemonEnvironment(labDirectory: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: labDirectory, LANG: 'C', LC_ALL: 'C', TZ: 'UTC', [LAB_MARK]: labDirectory };
}

async function recordDaemon(labDirectory: string, request: DaemonRequest, pid: number): Promise<DaemonRecord> {
  const startIdentity = await readStartIdentity(pid);
  if (startIdentity === undefined) {
    throw new SpokeError('TOOL_FAILED', `${request.name} ended at once:\n${await readTail(request.logFile)}`, {
      hint: `cat ${request.logFile}`,
    });
  }
  const record = { name: request.name, pid, startIdentity };
  const directory = recordDirectory(labDirectory);
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${request.name}.json`);
  await writeFile(`${path}.tmp`, JSON.stringify(record));
  await rename(`${path}.tmp`, path);
  return record;
}

/** The daemons written down in that lab, whether they live or not. */
export async function readDaemonRecords(labDirectory: string): Promise<readonly DaemonRecord[]> {
  const directory = recordDirectory(labDirectory);
  const names = await readdir(directory).catch(() => []);
  const texts = await Promise.all(names.filter((name) => name.endsWith('.json')).map((name) => readFile(join(directory, name), 'utf8')));
  return texts.map((text) => JSON.parse(text) as DaemonRecord);
}

/** Whether the very process of the record still lives. */
export async function isAlive(record: DaemonRecord): Promise<boolean> {
  return (await readStartIdentity(record.pid)) === record.startIdentity;
}

/** Throws TOOL_FAILED with the end of its log where the daemon has died. */
export async function assertAlive(record: DaemonRecord, logFile: string): Promise<void> {
  if (await isAlive(record)) return;
  throw new SpokeError('TOOL_FAILED', `The lab's ${record.name} has ended:\n${await readTail(logFile)}`, { hint: `cat ${logFile}` });
}

const TAIL_CHARACTERS = 2000;

async function readTail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(-TAIL_CHARACTERS).trim();
}

function recordDirectory(labDirectory: string): string {
  return join(labDirectory, 'processes');
}
