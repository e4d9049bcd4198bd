import { readFile, unlink } from 'node:fs/promises';
import type { NativeSettings } from '../settings.ts';
import { replaceFile } from '../../common/replace-file.ts';
import { packerNoteOf, shipperNoteOf } from './places.ts';

/** Of what follows the command's name in /proc/<pid>/stat: the state, and 19 fields further the start in clock ticks. */
const START_FIELD = 19;

/** How many of this process do so, by note: a backup of the daemon ships beside the daemon's own, and must not take the note along when it ends. */
const busy = new Map<string, number>();

/** Tells spoke-wal-push that this process ships: its pid and its start, by which a pid that was used again is told apart. */
export function noteShipper(settings: NativeSettings): Promise<void> {
  return write(settings, shipperNoteOf(settings));
}

/** Takes the note away with the last one of this process, unless it is another process's by now. */
export function forgetShipper(settings: NativeSettings): Promise<void> {
  return remove(shipperNoteOf(settings));
}

/** The same of a process that packs what archive_command leaves as it is. */
export function notePacker(settings: NativeSettings): Promise<void> {
  return write(settings, packerNoteOf(settings));
}

export function forgetPacker(settings: NativeSettings): Promise<void> {
  return remove(packerNoteOf(settings));
}

/** Whether a process other than this one ships. */
export async function isShippedByAnother(settings: NativeSettings): Promise<boolean> {
  const note = await readNote(shipperNoteOf(settings));
  return note !== undefined && note.pid !== process.pid && (await startOf(note.pid)) === note.start;
}

async function write({ user }: NativeSettings, path: string): Promise<void> {
  busy.set(path, (busy.get(path) ?? 0) + 1);
  await replaceFile(path, `${process.pid} ${(await startOf(process.pid)) ?? 0}\n`, user, 0o644);
}

async function remove(path: string): Promise<void> {
  const others = (busy.get(path) ?? 1) - 1;
  busy.set(path, others);
  if (others > 0) return;
  if ((await readNote(path))?.pid === process.pid) await unlink(path).catch(() => undefined);
}

async function readNote(path: string): Promise<{ readonly pid: number; readonly start: string } | undefined> {
  const [pid, start] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  return pid === undefined || start === undefined ? undefined : { pid: Number(pid), start };
}

/** Undefined where there is no such process, or it only waits to be buried. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const [state = 'X', ...fields] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return ['Z', 'X'].includes(state) ? undefined : fields[START_FIELD - 1];
}
