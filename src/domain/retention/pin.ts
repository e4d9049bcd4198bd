import type { BackupLabel, BaseBackup, RepositoryName } from '../catalog/base-backup.ts';
import { formatInstantIso, formatInstantUtc, type Instant, parsePostgresTimestamp } from '../time/instant.ts';

/** The annotation by which a pin stays with its backup, whatever becomes of the state directory. */
export const PIN_ANNOTATION = 'spoke-pin';

/** Somebody's word that a backup is to be kept. Holds the backup, what it needs, and the WAL that makes it consistent. */
export interface Pin {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  /** Exclusive. */
  readonly until: Instant | 'forever';
  /** One line. */
  readonly reason: string;
}

/** Whether it holds at an instant. */
export function isActive({ until }: Pin, now: Instant): boolean {
  return until === 'forever' || until > now;
}

/** `2026-12-31 00:00:00 UTC` or `forever`, for people. */
export function formatUntil(until: Pin['until']): string {
  return until === 'forever' ? until : formatInstantUtc(until);
}

/** `2026-12-31T00:00:00.000000Z` or `forever`, for programs. */
export function untilToText(until: Pin['until']): string {
  return until === 'forever' ? until : formatInstantIso(until);
}

/** Reads what untilToText wrote. What cannot be read is `forever`: better too long than lost. */
export function untilOfText(text: string): Pin['until'] {
  const [, date, time] = /^(\S{10})T(\S+)Z$/.exec(text) ?? [];
  try {
    return date === undefined ? 'forever' : parsePostgresTimestamp(`${date} ${time}+00`);
  } catch {
    return 'forever';
  }
}

/** As an annotation has it: the end, a space, the reason. */
export function pinToAnnotation({ until, reason }: Pin): string {
  return `${untilToText(until)} ${reason}`;
}

/** The pin that a backup is annotated with; undefined where there is none. One that cannot be read holds forever. */
export function pinOfAnnotation({ repository, label, annotations }: BaseBackup): Pin | undefined {
  const text = annotations[PIN_ANNOTATION];
  if (text === undefined || text === '') return undefined;
  const [, until = '', reason = ''] = /^(\S+) ?(.*)$/.exec(text) ?? [];
  return { repository, label, until: untilOfText(until), reason: reason === '' ? text : reason };
}

/** Of what is written in several places, for each backup the pin that holds longest. */
export function strongestPins(pins: Iterable<Pin>): readonly Pin[] {
  const strongest = new Map<string, Pin>();
  for (const pin of pins) {
    const key = `${pin.repository} ${pin.label}`;
    const other = strongest.get(key);
    if (other === undefined || endsBefore(other, pin)) strongest.set(key, pin);
  }
  return [...strongest.values()];
}

function endsBefore(one: Pin, other: Pin): boolean {
  if (one.until === 'forever') return false;
  return other.until === 'forever' || one.until < other.until;
}
