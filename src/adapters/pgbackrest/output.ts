// The mini variant loads in a tenth of the time, and a listing of backups pays for it.
import * as z from 'zod/mini';
import { SpokeError } from '../../errors.ts';
import type { Progress } from '../../ports/operation.ts';

/** Numbers that JavaScript would round (system-id is above 2^53) stay text. */
const wide = z.union([z.string(), z.pipe(z.number(), z.transform(String))]);
const status = z.object({ code: z.number(), message: z.string() });
const link = z.object({ name: z.string(), destination: z.string() });

const backupSchema = z.object({
  label: z.string(),
  type: z.enum(['full', 'diff', 'incr']),
  prior: z.nullish(z.string()),
  reference: z.nullish(z.array(z.string())),
  archive: z.object({ start: z.nullable(z.string()), stop: z.nullable(z.string()) }),
  lsn: z.optional(z.object({ start: z.string(), stop: z.string() })),
  timestamp: z.object({ start: z.number(), stop: z.number() }),
  info: z.object({ size: z.number(), repository: z.object({ delta: z.optional(z.number()) }) }),
  database: z.object({ id: z.number() }),
  error: z.nullish(z.boolean()),
  annotation: z.nullish(z.record(z.string(), z.string())),
  tablespace: z.nullish(z.array(z.extend(link, { oid: z.number() }))),
  link: z.nullish(z.array(link)),
});

const infoSchema = z.array(
  z.object({
    name: z.string(),
    status,
    db: z.array(z.object({ id: z.number(), 'system-id': wide, version: z.string() })),
    repo: z._default(z.array(z.object({ key: z.number(), status })), []),
    backup: z.array(backupSchema),
  }),
);

const listSchema = z.record(z.string(), z.object({ type: z.enum(['path', 'file', 'link', 'special']), time: z.optional(z.number()) }));

export type InfoStanza = z.infer<typeof infoSchema>[number];
export type InfoBackup = z.infer<typeof backupSchema>;
export type RepositoryList = z.infer<typeof listSchema>;

/** Reads `info --output=json`; undefined where it knows no such stanza. Throws TOOL_FAILED where it is not what we know. */
export function readInfo(json: string, stanza: string): InfoStanza | undefined {
  return checked(infoSchema, parseLosslessly(json), 'info').find((one) => one.name === stanza);
}

/** Reads `repo-ls --output=json`. */
export function readRepositoryList(json: string): RepositoryList {
  return checked(listSchema, JSON.parse(json), 'repo-ls');
}

/** Integers above 2^53 become strings of their digits: Node hands a reviver the source text. */
function parseLosslessly(json: string): unknown {
  const reviver = (_key: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? context?.source : value;
  return JSON.parse(json, reviver);
}

function checked<T>(schema: z.ZodMiniType<T>, value: unknown, command: string): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  throw new SpokeError('TOOL_FAILED', `pgbackrest ${command} printed something unexpected: ${z.prettifyError(result.error)}`);
}

const FILE_PROGRESS = /(backup|restore|verify) file .*\(.*?([\d.]+)%\)/;

/** The progress in a line of the log, where it tells some. */
export function readProgress(line: string): Progress | undefined {
  const match = FILE_PROGRESS.exec(line);
  return match === null ? undefined : { phase: match[1] === 'backup' ? 'copied' : 'restored', percent: Number(match[2]) };
}

/** `verify --output=text --verbose` exits with 0 on damage: its text says what it found. */
export function readVerifyReport(text: string): { readonly ok: boolean; readonly faults: readonly string[] } {
  const faults = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) =>
      /^status: error|: (?!0\b)\d+ (?:missing|checksum invalid|size invalid|other)|(?:missing|checksum invalid|size invalid|other): [1-9]|^backup: .*status: (?:invalid|manifest)|ERROR:/.test(
        line,
      ),
    );
  return { ok: faults.length === 0, faults };
}
