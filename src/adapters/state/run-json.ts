import type { RunTrigger } from '../../domain/schedule/trigger.ts';
import { formatInstantIso } from '../../domain/time/instant.ts';
import type { JournalEntry, RunHeader } from '../../ports/run-store.ts';
import { instantOfText } from './instant-text.ts';
import { isRunId } from './run-id.ts';

/** Of header.json, for readers of other versions. */
const SCHEMA = 1;
const VERBS: readonly string[] = [
  'backup',
  'restore',
  'setup',
  'setup-archiving',
  'expire',
  'pin',
  'verify',
  'reseed',
  'switchover',
  'failover',
] satisfies RunHeader['verb'][];

/** The fields that an entry of each kind must have beside `at` and `kind`, and their types. */
const ENTRY_FIELDS: Readonly<Record<JournalEntry['kind'], Readonly<Record<string, 'string' | 'number'>>>> = {
  attempt: { pid: 'number' },
  'step-started': { step: 'string' },
  'step-finished': { step: 'string', seconds: 'number' },
  'step-failed': { step: 'string', code: 'string', message: 'string' },
  note: { message: 'string' },
  'run-finished': { outcome: 'string' },
};

export function headerToText(header: RunHeader): string {
  const { startedAt, trigger, ...rest } = header;
  const instants = { startedAt: formatInstantIso(startedAt), trigger: triggerToJson(trigger) };
  return `${stringify({ schema: SCHEMA, ...rest, ...instants }, 2)}\n`;
}

/** Undefined where the text is not a header. */
export function headerOfText(text: string): RunHeader | undefined {
  const read = parseObject(text);
  const startedAt = instantOfText(read?.startedAt);
  if (read === undefined || startedAt === undefined) return undefined;
  const { runId, verb, cluster, host, user, programVersion, intent } = read;
  const texts = [runId, verb, cluster, host, user, programVersion];
  if (!texts.every((value) => typeof value === 'string') || !isRunId(String(runId)) || !VERBS.includes(String(verb))) return undefined;
  const trigger = triggerOf(read.trigger);
  return { runId, verb, cluster, startedAt, host, user, programVersion, trigger, intent } as RunHeader;
}

function triggerToJson(trigger: RunTrigger): unknown {
  return trigger.kind === 'schedule' ? { ...trigger, occurrence: formatInstantIso(trigger.occurrence) } : trigger;
}

/** Runs from before there were schedules have none noted, and were begun by hand. */
function triggerOf(value: unknown): RunTrigger {
  const { kind, name, occurrence, reason } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const instant = instantOfText(occurrence);
  if (kind === 'schedule' && typeof name === 'string' && instant !== undefined) return { kind, name, occurrence: instant };
  if (kind === 'early' && typeof reason === 'string') return { kind, reason };
  return { kind: 'manual' };
}

/** One line, its newline included. A bigint inside a detail or result is written as its decimal digits. */
export function entryToLine(entry: JournalEntry): string {
  return `${stringify({ ...entry, at: formatInstantIso(entry.at) })}\n`;
}

/** Undefined where the line is not an entry, or of a kind that this version does not know. */
export function entryOfLine(line: string): JournalEntry | undefined {
  const read = parseObject(line);
  const at = instantOfText(read?.at);
  if (read === undefined || at === undefined || typeof read.kind !== 'string' || !Object.hasOwn(ENTRY_FIELDS, read.kind)) return undefined;
  const fields = ENTRY_FIELDS[read.kind as JournalEntry['kind']];
  const isWhole = Object.entries(fields).every(([name, type]) => typeof read[name] === type);
  return isWhole ? ({ ...read, at } as JournalEntry) : undefined;
}

function stringify(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part), indent);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
