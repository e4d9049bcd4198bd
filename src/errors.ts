/**
 * The registry of everything that can go wrong, one entry a cause that an operator would act on differently.
 * docs/errors.md has a heading for each code; a test holds both together.
 */

/** How the engine may treat a failed step: try the same again, use another repository or backup, or stop. */
export type RetryClass = 'transient' | 'alternative' | 'none';

interface ErrorKind {
  readonly exitCode: number;
  readonly retry: RetryClass;
  /** What the operator can do next, where the thrower knows nothing better. */
  readonly hint: string;
}

export const ERROR_KINDS = {
  INTERNAL: { exitCode: 1, retry: 'none', hint: 'This is a bug. Please report it with the run directory.' },
  USAGE: { exitCode: 2, retry: 'none', hint: 'See: spoke-backup help' },
  CONFIG_INVALID: { exitCode: 10, retry: 'none', hint: 'Correct the file, then: spoke-backup config check' },
  CONFIG_NOT_FOUND: { exitCode: 10, retry: 'none', hint: 'Name the file with --config or SPOKE_BACKUP_CONFIG.' },
  SECRET_UNAVAILABLE: { exitCode: 10, retry: 'none', hint: 'Set the variable, or correct the path or command of the reference.' },
  LOCKED: { exitCode: 11, retry: 'none', hint: 'Wait for that run to end, or look at it: spoke-backup runs' },
  LEASE_LOST: { exitCode: 11, retry: 'none', hint: 'Once it is free again: spoke-backup runs resume' },
  CONFIRMATION_REQUIRED: { exitCode: 12, retry: 'none', hint: 'Read the plan, then repeat the command with --confirm <cluster>.' },
  REFUSED_UNSAFE_DIRECTORY: { exitCode: 12, retry: 'none', hint: 'Choose another --data-directory.' },
  REFUSED_SERVER_RUNNING: { exitCode: 12, retry: 'none', hint: 'Stop that server first, or choose another --data-directory.' },
  REFUSED_WRONG_CLUSTER: { exitCode: 12, retry: 'none', hint: 'Check --cluster and the configuration of its nodes.' },
  REFUSED_NO_SPACE: { exitCode: 12, retry: 'none', hint: 'Free space, or choose a --data-directory on a larger file system.' },
  REFUSED_POSTGRES_VERSION: {
    exitCode: 12,
    retry: 'none',
    hint: 'Install that major version of PostgreSQL, or set postgresqlBinDirectory.',
  },
  REFUSED_TABLESPACE: { exitCode: 12, retry: 'none', hint: 'Say where each tablespace shall go: --tablespace-map <old>=<new>' },
  REFUSED_PRECONDITION: { exitCode: 12, retry: 'none', hint: 'See: spoke-backup status' },
  TARGET_IN_FUTURE: { exitCode: 13, retry: 'none', hint: 'Choose an instant that has passed, or --to latest.' },
  TARGET_BEFORE_WINDOW: { exitCode: 13, retry: 'alternative', hint: 'See: spoke-backup status' },
  TARGET_AFTER_WINDOW: { exitCode: 13, retry: 'alternative', hint: 'Restore to the end of the archive: --to latest' },
  TARGET_IN_GAP: { exitCode: 13, retry: 'alternative', hint: 'Choose an instant outside the gap.' },
  TARGET_TIMELINE: { exitCode: 13, retry: 'none', hint: 'Choose the timeline: --timeline <n>' },
  TARGET_NOT_FOUND: { exitCode: 13, retry: 'alternative', hint: 'Name an older backup with --set.' },
  NO_BACKUP: { exitCode: 13, retry: 'alternative', hint: 'Take one: spoke-backup backup --type full' },
  VERIFICATION_FAILED: {
    exitCode: 14,
    retry: 'none',
    hint: 'Do not rely on this backup. Take a new full: spoke-backup backup --type full',
  },
  BACKUP_DAMAGED: { exitCode: 14, retry: 'alternative', hint: 'Restore from another repository (--repo) or an older backup (--set).' },
  POSTGRES_UNAVAILABLE: {
    exitCode: 20,
    retry: 'transient',
    hint: 'Check that the server runs and that the URL in the configuration is right.',
  },
  POSTGRES_FAILED: { exitCode: 20, retry: 'none', hint: 'Read the server log named above.' },
  REPOSITORY_UNAVAILABLE: { exitCode: 21, retry: 'alternative', hint: 'Check endpoint, network and certificate, or use another --repo.' },
  REPOSITORY_DENIED: { exitCode: 21, retry: 'alternative', hint: 'Check the access key, the secret key and the rights on the bucket.' },
  TOOL_FAILED: { exitCode: 22, retry: 'none', hint: 'Read the last lines of its output above.' },
  TOOL_MISSING: { exitCode: 22, retry: 'none', hint: 'Install it, or name its path in the configuration.' },
  TOOL_UNSUPPORTED: { exitCode: 22, retry: 'none', hint: 'Install a supported version: pgBackRest 2.45 or later.' },
  HOST_UNREACHABLE: { exitCode: 22, retry: 'transient', hint: 'Try it by hand: ssh -o BatchMode=yes <host> true' },
  HOST_KEY_UNKNOWN: {
    exitCode: 22,
    retry: 'none',
    hint: 'Compare the key with the one that the host itself shows, then add it to the known hosts: ssh-keyscan <host>',
  },
  HOST_DENIED: { exitCode: 22, retry: 'none', hint: 'Give that user there the public key, or set ssh.user and ssh.identityFile.' },
  PATRONI_UNAVAILABLE: { exitCode: 22, retry: 'transient', hint: 'Check patroni.urls, and on its hosts: patronictl list' },
  PATRONI_DENIED: { exitCode: 22, retry: 'none', hint: 'Check user, password and caFile of patroni in the configuration.' },
  PATRONI_FAILED: { exitCode: 22, retry: 'none', hint: 'See what it says: patronictl list, and the log of Patroni' },
  FILE_SYSTEM_FAILED: { exitCode: 22, retry: 'none', hint: 'Read the cause above; for input/output errors also the kernel log: dmesg' },
  DISK_FULL: { exitCode: 22, retry: 'none', hint: 'Free space, then: spoke-backup runs resume' },
  TIMED_OUT: { exitCode: 23, retry: 'transient', hint: 'See what it was waiting for above, then: spoke-backup runs resume' },
  PLAN_STALE: { exitCode: 30, retry: 'none', hint: 'The world changed while the plan was shown. Run the command again.' },
  RUN_NOT_FOUND: { exitCode: 2, retry: 'none', hint: 'See: spoke-backup runs' },
  CANCELLED: { exitCode: 130, retry: 'none', hint: 'No run had begun: repeat the command.' },
  TERMINATED: { exitCode: 143, retry: 'none', hint: 'No run had begun: repeat the command.' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** Facts about a fault, printed and put into --json; never a secret. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The only error that this program throws on purpose. `message` says what, where and why; `hint` the next command. */
export class SpokeError extends Error {
  override readonly name = 'SpokeError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint ?? ERROR_KINDS[code].hint;
  }

  get exitCode(): number {
    return ERROR_KINDS[this.code].exitCode;
  }

  get retry(): RetryClass {
    return ERROR_KINDS[this.code].retry;
  }
}

/** Anything thrown, as a SpokeError; what was not thrown on purpose becomes INTERNAL. */
export function asSpokeError(thrown: unknown): SpokeError {
  if (thrown instanceof SpokeError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SpokeError('INTERNAL', message, { cause: thrown });
}
