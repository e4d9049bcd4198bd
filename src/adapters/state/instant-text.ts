import { type Instant, parsePostgresTimestamp } from '../../domain/time/instant.ts';

const ISO_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/;

/** Reads what formatInstantIso wrote; undefined where it is anything else. */
export function instantOfText(text: unknown): Instant | undefined {
  if (typeof text !== 'string' || !ISO_UTC.test(text)) return undefined;
  try {
    return parsePostgresTimestamp(`${text.slice(0, 10)} ${text.slice(11, -1)}+00`);
  } catch {
    return undefined;
  }
}
