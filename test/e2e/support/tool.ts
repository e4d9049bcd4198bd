import { type ChildProcess, spawn } from 'node:child_process';
import { type CliError, PROGRAM } from '../../harness/cli.ts';

const TIME_LIMIT_MS = 240_000;

/** How a run of the program ended. */
export interface Ended {
  /** Null where a signal ended it that it could not answer. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  /** SPOKE_BACKUP_CONFIG. */
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The program while it runs: to be watched and ended half-way. */
export class RunningTool {
  readonly #child: ChildProcess;
  readonly #chunks: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  readonly ended: Promise<Ended>;

  constructor(argv: readonly string[], { config, environment }: ToolOptions = {}) {
    const child = spawn(PROGRAM, argv, {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...(config === undefined ? {} : { SPOKE_BACKUP_CONFIG: config }), ...environment },
    });
    this.#child = child;
    child.stdout.on('data', (chunk: Buffer) => this.#chunks.stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => this.#chunks.stderr.push(chunk));
    const limit = setTimeout(() => child.kill('SIGTERM'), TIME_LIMIT_MS);
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (exitCode) => {
        clearTimeout(limit);
        resolve({ exitCode, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** bin/spoke-backup becomes the program itself: no shell stays between. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get stdout(): string {
    return Buffer.concat(this.#chunks.stdout).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#chunks.stderr).toString();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Runs bin/spoke-backup to its end, whatever that is. */
export function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<Ended> {
  return new RunningTool(argv, options).ended;
}

/** The error that --json printed; throws where what was printed is anything else than one such document. */
export function errorOf({ exitCode, stdout, stderr }: Ended): CliError {
  const { schema, error } = JSON.parse(stdout) as { schema: number; error?: Omit<CliError, 'stderr'> };
  if (schema !== 1 || error === undefined) throw new Error(`no error was printed:\n${stdout}\n${stderr}`);
  if (error.exitCode !== exitCode) throw new Error(`exit code ${String(exitCode)}, but the document says ${error.exitCode}`);
  return { ...error, stderr };
}
