import { join } from 'node:path';
import { copyArguments, rewindArguments } from '../../domain/topology/seed-commands.ts';
import { type ErrorCode, SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import type { StandbySeeding } from '../../ports/standby-seeding.ts';
import { awaitUnwritten } from './await-unwritten.ts';
import { closeVersion } from './close-version.ts';

const DEFAULT_TIMEOUT_MS = 48 * 3_600_000;
/** A checkpoint of the source may be waited for in silence. */
const STALL_MS = 30 * 60_000;

/** pg_rewind and pg_basebackup, as the owner of the data directory. */
export function createStandbySeeding({ runner }: { readonly runner: ProcessRunner }): StandbySeeding {
  const run = (program: Program, context: OperationContext) => runProgram(program, runner, context);
  return {
    rewind: ({ binDirectory, owner, ...request }, context) =>
      // Its restore_command counts on running in the data directory, as a server's does.
      run(
        {
          ...{ name: 'pg_rewind', binDirectory, owner, argv: rewindArguments(request), dataDirectory: request.dataDirectory },
          cwd: request.dataDirectory,
          begins: /need to copy/,
          // It brings the primary's settings, and takes standby.signal away: half-way a postmaster would have a second, broken primary.
          onBegin: () => closeVersion(request.dataDirectory),
        },
        context,
      ),
    copyServer: ({ binDirectory, owner, ...request }, context) =>
      run(
        { name: 'pg_basebackup', dataDirectory: request.dataDirectory, binDirectory, owner, argv: copyArguments(request), cwd: '/' },
        context,
      ),
  };
}

interface Program {
  readonly name: 'pg_rewind' | 'pg_basebackup';
  readonly dataDirectory: string;
  readonly binDirectory: string;
  readonly owner: FileOwner;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** What it says (--progress) right before it changes anything. */
  readonly begins?: RegExp;
  /** What is done then; it is ended where that throws. */
  readonly onBegin?: () => void;
}

async function runProgram(
  { name, dataDirectory, binDirectory, owner, argv, cwd, begins, onBegin }: Program,
  runner: ProcessRunner,
  context: OperationContext,
): Promise<void> {
  await awaitUnwritten(dataDirectory);
  let isUntouched = begins !== undefined;
  const stopping = new AbortController();
  const begin = () => {
    isUntouched = false;
    try {
      onBegin?.();
    } catch (thrown) {
      stopping.abort(thrown);
    }
  };
  const { exitCode, stderrTail } = await runner.run({
    file: join(binDirectory, name),
    argv,
    cwd,
    user: { uid: owner.uid, gid: owner.gid },
    signal: AbortSignal.any([context.signal, stopping.signal]),
    timeoutMs: context.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    stallMs: STALL_MS,
    onLine: (line) => {
      if (begins?.test(line) === true) begin();
    },
  });
  if (exitCode === 0) return;
  const error = seedingFailure(name, exitCode, stderrTail);
  throw isUntouched ? new SpokeError(error.code, error.message, { details: { ...error.details, isUntouched }, hint: error.hint }) : error;
}

interface Rule {
  readonly says: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
}

/** In the words of the C locale; the first that fits counts. */
const RULES: readonly Rule[] = [
  { says: /No space left on device|Disk quota exceeded/, code: 'DISK_FULL' },
  {
    says: /no pg_hba\.conf entry|permission denied for function|must be superuser or replication role|permission denied to start WAL sender/i,
    code: 'REFUSED_PRECONDITION',
    hint: 'Give the replication role what it needs there: spoke-backup setup primary --apply',
  },
  {
    says: /max_wal_senders|remaining connection slots|too many clients|connection to server|server closed the connection|terminating connection|starting up|shutting down|Connection (?:refused|reset)|could not (?:receive|send) data|timeout expired|could not translate host name/,
    code: 'POSTGRES_UNAVAILABLE',
  },
];

/** Why one of the programs failed. `stderr`: its last lines, which never hold a secret. */
export function seedingFailure(name: string, exitCode: number, stderr: string): SpokeError {
  const lines = stderr.split('\n').filter((line) => /error:|fatal:|FATAL|ERROR|detail:|DETAIL|PANIC/.test(line));
  const message = (lines.length > 0 ? lines : stderr.split('\n').filter((line) => line.trim() !== '')).slice(-3).join('; ');
  const rule = RULES.find(({ says }) => says.test(stderr));
  return new SpokeError(rule?.code ?? 'TOOL_FAILED', `${name} failed: ${message || `exit code ${exitCode}`}`, {
    details: { exitCode, outputTail: stderr.trimEnd().split('\n').slice(-12).join('\n') },
    ...(rule?.hint === undefined ? {} : { hint: rule.hint }),
  });
}
