import { readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import type { FileOwner } from '../../ports/instance.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { ifReadable } from './file-error.ts';

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const USER_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/;
const ID_TIMEOUT_MS = 5_000;

/** Reads passwd(5); lines that are not entries (NIS, comments) are passed over. */
export function parsePasswd(text: string): readonly PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    if (name === undefined || home === undefined || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home }];
  });
}

/** Synchronous, as the C library reads it: every command of root waits for it, and threads take longer to start. */
async function readPasswd(): Promise<readonly PasswdEntry[]> {
  return parsePasswd((await ifReadable(new Promise<string>((resolve) => resolve(readFileSync('/etc/passwd', 'utf8'))))) ?? '');
}

/** The user of that name, also from a directory service. */
export async function findUser(name: string, runner: ProcessRunner): Promise<FileOwner | undefined> {
  if (!USER_NAME.test(name)) return undefined;
  const entry = (await readPasswd()).find((candidate) => candidate.name === name);
  if (entry !== undefined) return { name, uid: entry.uid, gid: entry.gid };
  const [uid, gid] = [await askId(['-u', name], runner), await askId(['-g', name], runner)];
  return uid === undefined || gid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}

/** The owner of a file; a uid without a user is its own name. */
export async function ownerOf(uid: number, gid: number, runner: ProcessRunner): Promise<FileOwner> {
  const entry = (await readPasswd()).find((candidate) => candidate.uid === uid);
  const name = entry?.name ?? (await askId(['-n', '-u', String(uid)], runner)) ?? String(uid);
  return { uid, gid, name };
}

/** The user that this program runs as. */
export function currentUser(): FileOwner {
  const uid = process.geteuid?.() ?? -1;
  const gid = process.getegid?.() ?? -1;
  return { uid, gid, name: loginName() ?? String(uid) };
}

/** The home directories of all users that can be named. */
export async function homeDirectories(): Promise<readonly string[]> {
  const homes = (await readPasswd()).map((entry) => entry.home);
  return [...new Set([...homes, homedir()])].filter((home) => home.startsWith('/'));
}

function loginName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

async function askId(argv: readonly string[], runner: ProcessRunner): Promise<string | undefined> {
  const signal = AbortSignal.timeout(ID_TIMEOUT_MS);
  const result = await ifReadable(runner.run({ file: 'id', argv, signal, timeoutMs: ID_TIMEOUT_MS }));
  const text = result?.stdout.trim();
  return result?.exitCode === 0 && text !== '' ? text : undefined;
}
