import { SpokeError } from '../../errors.ts';

/** Of a role, what its password is checked against; never the password. */
export interface UserListEntry {
  readonly user: string;
  readonly verifier: string;
}

/** RFC 5803, as pg_authid has it: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> */
const SCRAM_VERIFIER = /^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/;

export function isScramVerifier(text: string): boolean {
  return SCRAM_VERIFIER.test(text);
}

/**
 * PgBouncer's whole auth_file, by name. With the very verifiers of the server, PgBouncer can log in there with what it learns when a client
 * logs in. Throws CONFIG_INVALID for a name that no line can hold, INTERNAL for what is not a verifier: a password must never come in here.
 */
export function userListText(entries: readonly UserListEntry[]): string {
  const sorted = [...entries].sort((a, b) => (a.user < b.user ? -1 : Number(a.user > b.user)));
  return sorted.map(({ user, verifier }) => `${quoted(user)} ${quoted(checkedVerifier(verifier, user))}\n`).join('');
}

/** The verifiers of an auth_file by role; lines that are not of the form that we write count for nothing. */
export function parseUserList(text: string): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const [, user = '', verifier = ''] of text.matchAll(/^"((?:[^"\n]|"")*)" "([^"\n]*)"$/gm))
    if (isScramVerifier(verifier)) entries.set(user.replaceAll('""', '"'), verifier);
  return entries;
}

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new SpokeError(
      'CONFIG_INVALID',
      `PgBouncer's user list cannot hold the role ${JSON.stringify(text)}: it has a control character.`,
    );
  return `"${text.replaceAll('"', '""')}"`;
}

function checkedVerifier(verifier: string, user: string): string {
  if (isScramVerifier(verifier)) return verifier;
  throw new SpokeError('INTERNAL', `what was to be written for ${user} is not a SCRAM verifier`);
}
