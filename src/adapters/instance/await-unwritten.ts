import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../../errors.ts';
import { isAlive } from './process-table.ts';

const POLL_MS = 50;
/** Workers of pgBackRest whose main process was killed go on for half a minute. */
const PATIENCE_MS = 45_000;
/** Programs that fill a data directory. Of pgBackRest only a restore does. */
const WRITERS = new Set(['pg_basebackup', 'pg_rewind', 'pg_combinebackup', 'pgbackrest']);

/**
 * Waits until no program that an earlier attempt has started still fills the directory. When this program is killed, those are ended a moment
 * later: until then they would write, by path, into whatever has taken the place of what they were started for.
 * Nothing is found where there is no /proc. Throws LOCKED where one of them does not end.
 */
export async function awaitUnwritten(directory: string, patienceMs = PATIENCE_MS): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const writer = await findWriter(directory);
    if (writer === undefined) return;
    if (performance.now() >= deadlineMs) throw stillWrites(directory, writer);
    await delay(POLL_MS);
  }
}

interface Writer {
  readonly pid: number;
  readonly program: string;
}

async function findWriter(directory: string): Promise<Writer | undefined> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => writerInto(directory, pid)));
  return found.find((writer) => writer !== undefined);
}

/** Known by its arguments, which are the same where it was started through another program. */
async function writerInto(directory: string, pid: number): Promise<Writer | undefined> {
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  const program = argv.map((word) => basename(word)).find((name) => WRITERS.has(name));
  if (program === undefined || (program === 'pgbackrest' && !argv.includes('restore'))) return undefined;
  return argv.some((word) => namesWithin(word, directory)) && (await isAlive(pid)) ? { pid, program } : undefined;
}

/** `--pgdata=/x/data`, `/x/data` or what lies below. */
function namesWithin(word: string, directory: string): boolean {
  const path = word.startsWith('-') ? word.slice(word.indexOf('=') + 1) : word;
  return path === directory || path.startsWith(`${directory}/`);
}

function stillWrites(directory: string, { pid, program }: Writer): SpokeError {
  return new SpokeError('LOCKED', `${program} (pid ${pid}), which an earlier attempt has started, still writes into ${directory}`, {
    details: { directory, pid },
    hint: `See what it waits for (ps -o pid,stat,wchan:30,args -p ${pid}), end it, then: spoke-backup runs resume`,
  });
}
