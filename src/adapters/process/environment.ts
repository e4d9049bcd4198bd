import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** An account as far as the environment of its processes names it. */
interface Account {
  readonly name: string;
  readonly home: string;
}

/**
 * The environment of a child: enough to find programs and print plain C messages, and nothing of our own besides,
 * since ours may hold secrets. `uid` is whom the child runs as.
 */
export function childEnvironment(uid: number, added: Readonly<Record<string, string>>): Record<string, string> {
  const account = accountOf(uid);
  const timeZone = process.env['TZ'];
  return {
    PATH: process.env['PATH'] ?? DEFAULT_PATH,
    HOME: account?.home ?? '/',
    ...(account && { USER: account.name, LOGNAME: account.name }),
    LANG: 'C',
    LC_ALL: 'C',
    ...(timeZone !== undefined && { TZ: timeZone }),
    ...added,
  };
}

function accountOf(uid: number): Account | undefined {
  if (uid === process.getuid?.()) return ownAccount();
  return parseAccount(readFileSync('/etc/passwd', 'utf8'), uid);
}

function ownAccount(): Account | undefined {
  try {
    const { username, homedir } = userInfo();
    return { name: username, home: homedir };
  } catch {
    // A uid without an account, as containers like to have.
    return undefined;
  }
}

/** Looks a uid up in the text of /etc/passwd. */
export function parseAccount(passwd: string, uid: number): Account | undefined {
  for (const line of passwd.split('\n')) {
    const [name, , lineUid, , , home] = line.split(':');
    if (name && home && lineUid === String(uid)) return { name, home };
  }
  return undefined;
}
