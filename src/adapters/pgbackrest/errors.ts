import { type ErrorCode, SpokeError } from '../../errors.ts';
import { type Failure, failureOf, failureOfStatus } from './failure.ts';
import type { RepositorySettings } from './settings.ts';
import { postgresSupport } from './versions.ts';

/** A command that ended with another exit code than 0. */
export interface FailedCommand {
  readonly command: string;
  readonly exitCode: number;
  readonly output: string;
  /** The repository that it worked on, where it was one. */
  readonly repository?: RepositorySettings | undefined;
  /** Never shown. */
  readonly secrets: readonly string[];
}

interface Rule {
  readonly code: ErrorCode;
  readonly codes?: readonly number[];
  readonly says?: RegExp;
  readonly commands?: readonly string[];
  /** Only of an encrypted repository. */
  readonly encrypted?: true;
  readonly hint?: string;
}

const READING_BACKUPS = ['restore', 'verify', 'info', 'repo-get', 'repo-ls', 'archive-get'];
const INFO_FILE = /(?:backup|archive)\.info/;
const CHECK_PASSPHRASE = 'Check encryptionPassphrase of this repository: spoke-backup config show';
const IN_REPOSITORY = /\/(?:backup|archive)\/[^/']+\//;

/**
 * The first that fits decides. By what pgBackRest says where its code is too coarse: a refused key, a missing bucket and a dead
 * network are one code to it, and a damaged file and a wrong passphrase another.
 */
const RULES: readonly Rule[] = [
  { code: 'DISK_FULL', says: /No space left on device|Disk quota exceeded/ },
  {
    code: 'LOCKED',
    codes: [50],
    hint: 'Another pgBackRest works on this stanza. When it has ended, repeat the command; see: spoke-backup runs',
  },
  { code: 'REFUSED_PRECONDITION', codes: [62], hint: 'Somebody ran `pgbackrest stop`. When that is over: pgbackrest start' },
  {
    code: 'REFUSED_PRECONDITION',
    codes: [57],
    says: /permission denied/i,
    hint: 'Grant the role of pgBackRest what a backup needs; see the role in docs, or use a superuser.',
  },
  { code: 'POSTGRES_UNAVAILABLE', codes: [56, 80, 81] },
  { code: 'POSTGRES_UNAVAILABLE', codes: [57], hint: 'See what the server said above and in its log, then repeat the command.' },
  { code: 'REFUSED_PRECONDITION', codes: [68, 87], hint: 'Set archiving up: spoke-backup setup archiving' },
  {
    code: 'TIMED_OUT',
    codes: [82],
    hint: 'The WAL segment did not reach the repository. See the server log for what archive_command says, then: spoke-backup setup archiving',
  },
  { code: 'TOOL_UNSUPPORTED', says: /unexpected control version/, hint: `Install a pgBackRest that knows it: ${postgresSupport()}` },
  { code: 'TOOL_UNSUPPORTED', codes: [46, 67] },
  { code: 'CONFIG_INVALID', codes: [27, 31, 32, 37, 96] },
  {
    code: 'REPOSITORY_DENIED',
    says: /RequestTimeTooSkewed/,
    hint: 'The clock of this machine and that of the object store differ by too much: timedatectl',
  },
  { code: 'REPOSITORY_DENIED', codes: [105] },
  {
    code: 'REPOSITORY_DENIED',
    says: /request failed with 40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken/,
  },
  {
    code: 'REPOSITORY_UNAVAILABLE',
    says: /request failed with \d{3}|certificate|\bTLS\b|unable to (?:connect|get address)|(?:from|to) socket|waiting for (?:read|write)|Connection re(?:fused|set)|Broken pipe/,
  },
  { code: 'REPOSITORY_UNAVAILABLE', codes: [49, 101, 103] },
  {
    code: 'REPOSITORY_DENIED',
    says: /cipher header invalid|is or was the repo encrypted|Salted__/,
    hint: CHECK_PASSPHRASE,
  },
  { code: 'REPOSITORY_DENIED', codes: [29, 95], says: INFO_FILE, encrypted: true, hint: CHECK_PASSPHRASE },
  { code: 'REFUSED_WRONG_CLUSTER', codes: [44, 45, 51, 58] },
  { code: 'REFUSED_WRONG_CLUSTER', codes: [28], commands: ['stanza-create', 'check', 'backup'] },
  { code: 'REFUSED_SERVER_RUNNING', codes: [38] },
  { code: 'REFUSED_UNSAFE_DIRECTORY', codes: [40] },
  { code: 'REFUSED_TABLESPACE', codes: [76] },
  { code: 'TARGET_NOT_FOUND', codes: [75], hint: 'The repository no longer holds that backup. See: spoke-backup backups' },
  {
    code: 'REPOSITORY_DENIED',
    says: new RegExp(
      `${INFO_FILE.source}.*Permission denied|${IN_REPOSITORY.source}.*Permission denied|/(?:backup|archive)'.*Permission denied`,
    ),
    hint: 'Let the owner of the data directory read and write the repository.',
  },
  { code: 'REFUSED_PRECONDITION', says: /Permission denied/, hint: 'Let the owner of the data directory read and write that path.' },
  {
    code: 'REPOSITORY_UNAVAILABLE',
    codes: [55],
    says: INFO_FILE,
    hint: 'Check that the repository is mounted. Where it is new: spoke-backup setup archiving',
  },
  { code: 'BACKUP_DAMAGED', codes: [55], says: IN_REPOSITORY },
  { code: 'BACKUP_DAMAGED', codes: [26, 28, 29, 42, 95, 99], commands: READING_BACKUPS },
  { code: 'FILE_SYSTEM_FAILED', codes: [41, 42, 47, 52, 53, 54, 60, 61, 64, 73, 79, 83, 88, 97, 98] },
];

/** Translates a failure once, at the edge; the last lines of output stay with the error. */
export function translateFailure({ command, exitCode, output, repository, secrets }: FailedCommand): SpokeError {
  const shown = withoutSecrets(output, secrets);
  const failure = failureOf(command, exitCode, shown);
  const { code, hint } = ruleFor(failure, repository);
  const where = repository === undefined ? '' : ` (repository ${repository.name})`;
  return new SpokeError(code, `pgbackrest ${command}${where} failed: ${failure.message}`, {
    details: {
      command,
      exitCode,
      ...(repository === undefined ? {} : { repository: repository.name }),
      outputTail: tailOf(shown),
    },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** A repository's own trouble, as `info` reports it with status 99. */
export function repositoryTrouble(repository: RepositorySettings, message: string, secrets: readonly string[]): SpokeError {
  const failure = failureOfStatus(withoutSecrets(message, secrets));
  const { code, hint } = ruleFor(failure, repository);
  return new SpokeError(code, `repository ${repository.name} cannot be read: ${failure.message}`, {
    details: { repository: repository.name },
    ...(hint === undefined ? {} : { hint }),
  });
}

function ruleFor(failure: Failure, repository: RepositorySettings | undefined): Pick<Rule, 'code' | 'hint'> {
  const isEncrypted = repository?.cipherPassphrase !== undefined;
  const rule = RULES.find((one) => (one.encrypted !== true || isEncrypted) && fits(one, failure)) ?? { code: 'TOOL_FAILED' };
  // Whatever it is, that repository did not answer: it must never count as empty, and another one may do.
  const isVague = rule.code === 'TOOL_FAILED' || rule.code === 'FILE_SYSTEM_FAILED';
  return failure.ofRepository && isVague ? { code: 'REPOSITORY_UNAVAILABLE' } : rule;
}

function fits({ codes, says, commands }: Rule, { command, code, message }: Failure): boolean {
  if (codes !== undefined && (code === undefined || !codes.includes(code))) return false;
  if (says !== undefined && !says.test(message)) return false;
  return commands === undefined || commands.includes(command);
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '<redacted>')), text);
}

function tailOf(output: string): string {
  return output.trimEnd().split('\n').slice(-12).join('\n');
}
