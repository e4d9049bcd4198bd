import { existsSync } from 'node:fs';
import { link, open, readdir } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ServerAddress } from '../../../ports/postgres-server.ts';
import type { ProcessResult } from '../../../ports/process-runner.ts';
import { asUser, type NativeParts } from '../parts.ts';
import { libpqConnectionOf, passwordFileText } from './connection.ts';
import { baseBackupFailure, tellsPageErrors } from './errors.ts';
import { readPipe } from './read-pipe.ts';
import { closeGate, type StderrGate } from './stderr-gate.ts';
import type { BackupProgram } from './version.ts';
import type { WorkDirectory } from './work-directory.ts';

const LONGEST_MS = 7 * 86_400_000;
const STALL_MS = 60 * 60_000;
const POLL_MS = 5;
const PROBE_MS = 250;
const READ_MS = 40;
const MOST_ATTEMPTS = 5;
const STDERR_TAIL = 16_384;
/** The server tells 60 s, 120 s, 240 s … into the wait for its archiver. */
const MOST_ARCHIVE_WAIT_SECONDS = 480;
const STILL_WAITING = /still waiting for .*archived.* \((\d+) seconds elapsed\)/;

export interface BaseBackupRequest {
  readonly address: ServerAddress;
  readonly program: BackupProgram;
  /** Of the tar files that pg_basebackup writes, for example `base.tar.zst`. */
  readonly archives: readonly string[];
  /** Of pg_basebackup, beside what is always said. */
  readonly options: readonly string[];
  readonly work: WorkDirectory;
  readonly onLine: (line: string) => void;
  /** Takes one archive as it comes, each chunk of which is there until the next is asked for; once it throws, all ends. Never called for an archive that does not come. */
  readonly take: (archive: string, source: AsyncIterable<Uint8Array>) => Promise<void>;
}

export interface BaseBackupResult {
  readonly manifestFile: string;
  readonly hasPageErrors: boolean;
}

/**
 * Copies a running cluster by pg_basebackup, which writes tar files into a directory: there it finds pipes of their names. It wants the directory
 * empty and looks once, before it says its first word on stderr and asks the server to begin; so its stderr is a pipe that is full, which holds it
 * at that word until the others are in place. Nothing but the manifest is ever on this machine's disk.
 */
export async function copyCluster(parts: NativeParts, request: BaseBackupRequest, context: OperationContext): Promise<BaseBackupResult> {
  const { uri, password } = libpqConnectionOf(request.address);
  const passwordFile = password === undefined ? undefined : await request.work.writeOwn('pgpass', passwordFileText(password));
  const environment: Record<string, string> = passwordFile === undefined ? {} : { PGPASSFILE: passwordFile };
  for (let attempt = 1; ; attempt += 1) {
    const result = await attemptCopy(parts, { ...request, uri, environment, name: `try${attempt}` }, context);
    if (result !== 'slipped') return result;
    if (attempt === MOST_ATTEMPTS) throw new SpokeError('TOOL_FAILED', 'pg_basebackup could not be held while its pipes were laid');
  }
}

interface Attempt extends BaseBackupRequest {
  readonly uri: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly name: string;
}

async function attemptCopy(parts: NativeParts, attempt: Attempt, context: OperationContext): Promise<BaseBackupResult | 'slipped'> {
  const { work, archives, name } = attempt;
  const [stderrPath = '', ...pipes] = await work.makePipes([`${name}.stderr`, ...archives.map((archive) => `${name}.${archive}`)]);
  const target = join(work.path, name);
  const gate = closeGate(stderrPath);
  const stopping = new AbortController();
  const signal = AbortSignal.any([context.signal, stopping.signal]);
  const log = createLog(attempt.onLine);
  try {
    const run = start(parts, attempt, { stderrPath, target, signal });
    const state = { settled: false };
    void run.catch(() => undefined).finally(() => (state.settled = true));
    if (!(await heldAt(parts, gate, target, state, log))) {
      // Ended before, or beyond our reach.
      if (!state.settled) stopping.abort(new SpokeError('INTERNAL', 'pg_basebackup went on without its pipes'));
      const result = await run.catch((thrown: unknown) => asSpokeError(thrown));
      log.add(gate.read());
      if (result instanceof SpokeError) {
        if (stopping.signal.aborted && !context.signal.aborted) return 'slipped';
        throw result;
      }
      throw baseBackupFailure(result.exitCode, log.tail());
    }
    await Promise.all(archives.map((archive, index) => link(pipes[index] ?? '', join(target, archive))));
    const taking = takeAll(attempt, pipes, { signal, stop: (reason) => stopping.abort(reason) });
    await readUntil(parts, gate, state, log, (reason) => stopping.abort(reason));
    return await conclude(run, taking, { log, target, archives, pipes, stopping });
  } finally {
    stopping.abort(new SpokeError('CANCELLED', 'The backup has ended.'));
    gate.close();
  }
}

function start(
  { runner, settings }: NativeParts,
  { program, uri, environment, options }: Attempt,
  { stderrPath, target, signal }: { readonly stderrPath: string; readonly target: string; readonly signal: AbortSignal },
): Promise<ProcessResult> {
  return runner.run({
    file: join(settings.programDirectory, 'spoke-stderr-to'),
    argv: [
      stderrPath,
      program.file,
      `--dbname=${uri}`,
      '--no-password',
      `--pgdata=${target}`,
      '--format=tar',
      '--wal-method=none',
      '--checkpoint=fast',
      '--progress',
      '--verbose',
      // We make things durable and remove them ourselves.
      '--no-sync',
      '--no-clean',
      ...options,
    ],
    environment,
    signal,
    timeoutMs: LONGEST_MS,
    stallMs: STALL_MS,
    ...asUser(settings),
  });
}

/** Resolves with true once pg_basebackup has looked at its directory and is held; with false where it ended before that, or went on. */
async function heldAt(
  { clock }: NativeParts,
  gate: StderrGate,
  target: string,
  state: { readonly settled: boolean },
  log: Log,
): Promise<boolean> {
  let probedMs = clock.monotonicMs();
  let passed = false;
  while (!state.settled) {
    // The directory that it makes is looked at no more once it is there.
    if (existsSync(target)) return !passed && !log.tail().includes('initiating base backup');
    if (clock.monotonicMs() - probedMs >= PROBE_MS) {
      // What it says before that is why it fails: it has to be let say it.
      const probe = gate.probe();
      log.add(probe.text);
      passed = probe.passed;
      probedMs = clock.monotonicMs();
    }
    await clock.sleep(POLL_MS, new AbortController().signal);
  }
  return false;
}

async function readUntil(
  { clock }: NativeParts,
  gate: StderrGate,
  state: { readonly settled: boolean },
  log: Log,
  stop: (reason: SpokeError) => void,
): Promise<void> {
  for (;;) {
    const isLast = state.settled;
    log.add(gate.read());
    if (isLast) return;
    if (log.archiveWaitSeconds() >= MOST_ARCHIVE_WAIT_SECONDS)
      stop(
        new SpokeError(
          'TIMED_OUT',
          `the server waits for its archive_command since ${log.archiveWaitSeconds()} s: the backup was given up`,
          {
            hint: 'See the server log for what archive_command says, then: spoke-backup setup archiving',
          },
        ),
      );
    await clock.sleep(READ_MS, new AbortController().signal);
  }
}

/** Reads every pipe to its end. `settled` never rejects. */
function takeAll(
  { archives, take }: Attempt,
  pipes: readonly string[],
  { signal, stop }: { readonly signal: AbortSignal; readonly stop: (reason: SpokeError) => void },
) {
  const came = new Set<string>();
  const failures: SpokeError[] = [];
  const takeOne = async (archive: string, pipe: string) => {
    const chunks = readPipe(pipe, signal);
    const first = await chunks.next();
    if (first.done === true) return;
    came.add(archive);
    await take(archive, prepend(first.value, chunks));
  };
  const settled = Promise.all(
    archives.map((archive, index) =>
      takeOne(archive, pipes[index] ?? '').catch((thrown: unknown) => {
        const error = asSpokeError(thrown);
        failures.push(error);
        stop(error);
      }),
    ),
  );
  return { settled, came, failures };
}

async function conclude(
  run: Promise<ProcessResult>,
  taking: ReturnType<typeof takeAll>,
  {
    log,
    target,
    archives,
    pipes,
    stopping,
  }: {
    readonly log: Log;
    readonly target: string;
    readonly archives: readonly string[];
    readonly pipes: readonly string[];
    readonly stopping: AbortController;
  },
): Promise<BaseBackupResult> {
  const result = await run.catch((thrown: unknown) => asSpokeError(thrown));
  const hasPageErrors = !(result instanceof SpokeError) && result.exitCode !== 0 && tellsPageErrors(log.tail());
  const failure =
    result instanceof SpokeError
      ? result
      : result.exitCode === 0 || hasPageErrors
        ? undefined
        : baseBackupFailure(result.exitCode, log.tail());
  // Whoever reads a pipe that was never opened would wait for ever.
  if (failure !== undefined) stopping.abort(failure);
  await Promise.all(pipes.map(letGo));
  await taking.settled;
  // Whom nobody reads any more dies of it: why nobody does counts. Else what stopped it counts, not that it was stopped.
  const isUnread = failure?.details['signal'] === 'SIGPIPE';
  const first = isUnread ? taking.failures.find((one) => one !== failure) : taking.failures[0];
  if (first !== undefined && (isUnread || failure === undefined || stopping.signal.reason === first)) throw first;
  if (failure !== undefined) throw failure;
  const missing = archives.filter((archive) => !taking.came.has(archive));
  const names = await readdir(target);
  const unknown = names.filter((name) => !archives.includes(name) && !name.startsWith('backup_manifest'));
  if (missing.length > 0 || unknown.length > 0)
    throw new SpokeError(
      'TOOL_FAILED',
      `a tablespace was made or dropped while the backup began (${[...missing, ...unknown].join(', ')})`,
      {
        hint: 'Nothing was kept. Repeat the backup: spoke-backup backup',
      },
    );
  const manifest = names.find((name) => name === 'backup_manifest') ?? 'backup_manifest.tmp';
  return { manifestFile: join(target, manifest), hasPageErrors };
}

/** Opens and closes the writing end: a reader that waits for a writer sees an end. */
async function letGo(pipe: string): Promise<void> {
  try {
    await (await open(pipe, constants.O_WRONLY | constants.O_NONBLOCK)).close();
  } catch (thrown) {
    // ENXIO: nobody reads it any more.
    if (!(thrown instanceof Error) || !['ENXIO', 'ENOENT'].includes(String(Reflect.get(thrown, 'code')))) throw thrown;
  }
}

async function* prepend(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

interface Log {
  add(text: string): void;
  tail(): string;
  archiveWaitSeconds(): number;
}

/** The lines that pg_basebackup says, and the last of them. */
function createLog(onLine: (line: string) => void): Log {
  let tail = '';
  let rest = '';
  let waitedSeconds = 0;
  return {
    add(text) {
      if (text === '') return;
      tail = `${tail}${text}`.slice(-STDERR_TAIL);
      const lines = `${rest}${text}`.split(/[\r\n]/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        waitedSeconds = Math.max(waitedSeconds, Number(STILL_WAITING.exec(line)?.[1] ?? 0));
        if (line !== '') onLine(line);
      }
    },
    tail: () => tail,
    archiveWaitSeconds: () => waitedSeconds,
  };
}
