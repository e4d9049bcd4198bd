import { readFile, unlink } from 'node:fs/promises';
import type { NativeSettings } from '../settings.ts';
import { replaceFile } from '../../common/replace-file.ts';
import { shipperNoteOf } from './places.ts';

/** Of what follows the command's name in /proc/<pid>/stat: the state, and 19 fields further the start in clock ticks. */
const START_FIELD = 19;

/** How many of this process ship, by note: a backup of the daemon ships beside the daemon's own, and must not take the note along when it ends. */
const shipping = new Map<string, number>();

/** Tells spoke-wal-push that this process ships: its pid and its start, by which a pid that was used again is told apart. */
export async function noteShipper(settings: NativeSettings): Promise<void> {
  shipping.set(shipperNoteOf(settings), (shipping.get(shipperNoteOf(settings)) ?? 0) + 1);
  await replaceFile(shipperNoteOf(settings), `${process.pid} ${(await startOf(process.pid)) ?? 0}\n`, settings.user, 0o644);
}

/** Takes the note away with the last one of this process, unless it is another process's by now. */
export async function forgetShipper(settings: NativeSettings): Promise<void> {
  const others = (shipping.get(shipperNoteOf(settings)) ?? 1) - 1;
  shipping.set(shipperNoteOf(settings), others);
  if (others > 0) return;
  if ((await readNote(settings))?.pid === process.pid) await unlink(shipperNoteOf(settings)).catch(() => undefined);
}

/** Whether a process other than this one ships. */
export async function isShippedByAnother(settings: NativeSettings): Promise<boolean> {
  const note = await readNote(settings);
  return note !== undefined && note.pid !== process.pid && (await startOf(note.pid)) === note.start;
}

async function readNote(settings: NativeSettings): Promise<{ readonly pid: number; readonly start: string } | undefined> {
  const [pid, start] = (await readFile(shipperNoteOf(settings), 'utf8').catch(() => '')).trim().split(' ');
  return pid === undefined || start === undefined ? undefined : { pid: Number(pid), start };
}

/** Undefined where there is no such process, or it only waits to be buried. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const [state = 'X', ...fields] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return ['Z', 'X'].includes(state) ? undefined : fields[START_FIELD - 1];
}
