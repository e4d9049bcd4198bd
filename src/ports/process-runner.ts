/** A child process: an argument vector, never a shell line. */
export interface ProcessRequest {
  /** A path, or a name looked up in PATH. */
  readonly file: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** Added to a minimal environment (PATH, HOME, LANG=C, LC_ALL=C, TZ); nothing else is handed on. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Run as this user; only root can, and where it is the current user nothing is switched. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly input?: string;
  /**
   * Written to its standard input as it takes it, instead of `input`. It need not be read to its end: then it is closed early, which is
   * no error. Where it throws the process is ended, without having seen an end of its input, and that is what `run` throws.
   */
  readonly inputStream?: AsyncIterable<Uint8Array>;
  /**
   * Reads standard output, which the process can write no faster than it is read; `run` settles after it. The output ends only where the process
   * has ended with exit code 0, and throws in every other case: who reads to the end has the whole of it. Where the consumer throws something
   * of its own, the process is ended and that is what `run` throws. Returning early closes the process's standard output.
   */
  readonly consumeStdout?: (output: AsyncIterable<Uint8Array>) => Promise<void>;
  /** It only reads: should we be killed by SIGKILL, processes that it started may end a little later than it does. */
  readonly readsOnly?: boolean;
  readonly signal: AbortSignal;
  /** The whole run. */
  readonly timeoutMs: number;
  /** Killed when it prints nothing and (on Linux) reads and writes nothing for so long. */
  readonly stallMs?: number;
  /** Called for each complete line of output; with `consumeStdout` of stderr alone. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** More output than this on stdout is an error (64 MiB where not given); of stderr the tail is kept. */
  readonly maxStdoutBytes?: number;
}

export interface ProcessResult {
  readonly exitCode: number;
  /** Empty with `consumeStdout`. */
  readonly stdout: string;
  /** The last 16 KiB. */
  readonly stderrTail: string;
  readonly durationMs: number;
}

/**
 * Starts processes in a process group of their own and sees to it that the whole group is gone when `run` settles:
 * SIGTERM, then SIGKILL after a grace period. Also when this program is ended by a signal.
 */
export interface ProcessRunner {
  /**
   * Resolves with whatever exit code the process ended with. Throws TOOL_MISSING (no such file), TIMED_OUT (limit or stall),
   * CANCELLED (signal), TOOL_FAILED (killed by a signal that we did not send, or too much output), and whatever `inputStream` or
   * `consumeStdout` throws.
   */
  run(request: ProcessRequest): Promise<ProcessResult>;
}
