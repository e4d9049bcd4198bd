import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter } from 'node:path';
import { SpokeError } from '../errors.ts';
import { requireLab, type LabDescription } from './description.ts';
import { SUPERUSER } from './layout.ts';

/** What a command in the lab gets over its usual environment: the programs of PostgreSQL, our configuration, the primary. */
function labEnvironment(lab: LabDescription, environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return {
    PATH: [lab.postgresqlBinDirectory, environment['PATH'] ?? ''].join(delimiter),
    SPOKE_BACKUP_CONFIG: lab.config,
    PGHOST: lab.primary.socketDirectory,
    PGPORT: String(lab.primary.port),
    PGUSER: SUPERUSER,
    PGDATABASE: 'postgres',
    PGPASSFILE: lab.passwordFile,
  };
}

/** A terminal sends Ctrl-C to the command itself, which decides what to make of it; the other signals come to us alone. */
function handOnSignals(child: ChildProcess): () => void {
  const ignore = () => undefined;
  const handOn = (signal: NodeJS.Signals) => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGTERM', handOn).on('SIGHUP', handOn);
  return () => process.off('SIGINT', ignore).off('SIGTERM', handOn).off('SIGHUP', handOn);
}

/**
 * Runs a command with the lab's environment on our own terminal and resolves with its exit code (128 + n where signal n ended
 * it, as a shell says it). Throws USAGE where there is no lab, TOOL_MISSING where there is no such command.
 */
export async function labExec(directory: string, command: readonly string[]): Promise<number> {
  const lab = await requireLab(directory);
  const [file, ...argv] = command;
  if (file === undefined)
    throw new SpokeError('USAGE', 'No command given.', { hint: "For example: spoke-backup lab exec -- psql -c 'select 1'" });
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, { stdio: 'inherit', env: { ...process.env, ...labEnvironment(lab, process.env) } });
    const release = handOnSignals(child);
    child.once('error', (cause) => {
      release();
      reject(new SpokeError('TOOL_MISSING', `${file} cannot be started: ${cause.message}`, { cause }));
    });
    child.once('close', (code, signal) => {
      release();
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
