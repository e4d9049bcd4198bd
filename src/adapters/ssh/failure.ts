import type { SshConfig } from '../../config/model.ts';
import { type ErrorCode, SpokeError } from '../../errors.ts';

/** The exit code of ssh itself, where that of the command is not known. */
const SSH_FAILED = 255;
/** Of a shell that cannot start what it was told to: not executable, not found. */
const NOT_STARTED = [126, 127];
const USAGE = 2;

/** How ssh ended, and whether spoke-backup at the other end had answered before. */
export interface SshEnd {
  readonly exitCode: number;
  readonly stderrTail: string;
  readonly hadAnswered: boolean;
}

/** What ssh prints, and what it means; the first that fits counts. */
const MEANINGS: readonly (readonly [pattern: RegExp, code: ErrorCode, what: string])[] = [
  [/IDENTIFICATION HAS CHANGED|Offending .* key/, 'HOST_KEY_UNKNOWN', 'shows another key than the one that is known'],
  [/Host key verification failed|host key is known/, 'HOST_KEY_UNKNOWN', 'shows a key that is not among the known hosts'],
  [/Permission denied|Too many authentication failures|no mutual signature/i, 'HOST_DENIED', 'does not let us in'],
  [/./, 'HOST_UNREACHABLE', 'cannot be reached'],
];

/** `user@host`, with the port where it is not the usual one. */
export function nameOfHost({ user, host, port }: Pick<SshConfig, 'user' | 'host' | 'port'>): string {
  return `${user === undefined ? '' : `${user}@`}${host}${port === 22 ? '' : `:${port}`}`;
}

/** Why there is no connection (any more). Pure. */
export function connectionFailure(ssh: SshConfig, { exitCode, stderrTail, hadAnswered }: SshEnd): SpokeError {
  const host = nameOfHost(ssh);
  const said = lastLine(stderrTail);
  const because = said === '' ? '' : `: ${said}`;
  const options = { details: { host, exitCode, stderrTail } };
  if (hadAnswered) {
    const what = exitCode === SSH_FAILED ? `the connection to ${host} broke` : `spoke-backup on ${host} ended in the middle of its work`;
    return new SpokeError('HOST_UNREACHABLE', `${what}${because}`, options);
  }
  if (exitCode === SSH_FAILED) {
    const [, code, what] = MEANINGS.find(([pattern]) => pattern.test(stderrTail)) ?? [
      /./,
      'HOST_UNREACHABLE' as const,
      'cannot be reached',
    ];
    return new SpokeError(code, `${host} ${what}${because}`, options);
  }
  if (NOT_STARTED.includes(exitCode))
    return new SpokeError('TOOL_MISSING', `${ssh.command.join(' ')} cannot be started on ${host}${because}`, {
      ...options,
      hint: `Install spoke-backup there, or say with ssh.command in the configuration how it is called there.`,
    });
  if (exitCode === USAGE && stderrTail.includes('agent')) return otherVersion(host, said);
  return new SpokeError('TOOL_FAILED', `spoke-backup on ${host} ended with exit code ${exitCode} before it answered${because}`, options);
}

/** Whoever is there does not speak as we do. */
export function otherVersion(host: string, evidence: string): SpokeError {
  return new SpokeError('TOOL_UNSUPPORTED', `spoke-backup on ${host} is of a version that does not fit this one: ${evidence}`, {
    details: { host },
    hint: 'Install the same version of spoke-backup on every host.',
  });
}

function lastLine(text: string): string {
  return text.trim().split(/\r?\n/).at(-1)?.trim() ?? '';
}
