// The mini variant loads in a tenth of the time, and a listing of backups pays for it.
import * as z from 'zod/mini';
import { SpokeError } from '../../errors.ts';

/** Made when it is first asked for, which is while pgBackRest works: making it takes longer than using it. */
function makeInfoSchema() {
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
    lsn: z.nullish(z.object({ start: z.string(), stop: z.string() })),
    timestamp: z.object({ start: z.number(), stop: z.number() }),
    info: z.object({ size: z.number(), repository: z.object({ delta: z.optional(z.number()) }) }),
    database: z.object({ id: z.number() }),
    error: z.nullish(z.boolean()),
    annotation: z.nullish(z.record(z.string(), z.string())),
    tablespace: z.nullish(z.array(z.extend(link, { oid: z.number() }))),
    link: z.nullish(z.array(link)),
  });

  return z.array(
    z.object({
      name: z.string(),
      status,
      db: z.array(z.object({ id: z.number(), 'system-id': wide, version: z.string() })),
      repo: z._default(z.array(z.object({ key: z.number(), status })), []),
      backup: z.array(backupSchema),
    }),
  );
}

type InfoSchema = ReturnType<typeof makeInfoSchema>;
let infoSchema: InfoSchema | undefined;

/** What `info` prints. */
export function prepareInfo(): InfoSchema {
  return (infoSchema ??= makeInfoSchema());
}

/** One entry of a listing. */
export interface ListedFile {
  readonly name: string;
  /** Seconds since the epoch, by the repository's clock. */
  readonly time?: number;
}

export type InfoStanza = z.infer<InfoSchema>[number];
export type InfoBackup = InfoStanza['backup'][number];

/** Reads `info --output=json`; undefined where it knows no such stanza. Throws TOOL_FAILED where it is not what we know. */
export function readInfo(json: string, stanza: string): InfoStanza | undefined {
  const result = z.safeParse(prepareInfo(), parse(json, 'info', keepDigits));
  if (!result.success) throw unexpected('info', z.prettifyError(result.error));
  return result.data.find((one) => one.name === stanza);
}

/** Files and folders of `repo-ls --output=json`; a million of them are common, so they are looked at by hand. Throws TOOL_FAILED. */
export function readRepositoryList(json: string): { readonly files: ListedFile[]; readonly folders: string[] } {
  const listing = parse(json, 'repo-ls');
  if (typeof listing !== 'object' || listing === null || Array.isArray(listing)) throw unexpected('repo-ls', 'no object');
  const files: ListedFile[] = [];
  const folders: string[] = [];
  for (const [name, entry] of Object.entries(listing as Record<string, unknown>)) {
    if (typeof entry !== 'object' || entry === null) throw unexpected('repo-ls', `${name} has no attributes`);
    const { type, time } = entry as { readonly type?: unknown; readonly time?: unknown };
    if (type === 'path') folders.push(name);
    if (type === 'file') files.push(typeof time === 'number' ? { name, time } : { name });
  }
  return { files, folders };
}

/** A reviver by which integers above 2^53 become strings of their digits: Node hands it the source text. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? context?.source : value;
}

function parse(json: string, command: string, reviver?: typeof keepDigits): unknown {
  try {
    // pgBackRest quotes damaged files as they are, control characters included, which JSON does not have.
    return JSON.parse(json.replaceAll(/\p{Cc}/gu, ' '), reviver);
  } catch (thrown) {
    throw unexpected(command, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function unexpected(command: string, what: string): SpokeError {
  return new SpokeError('TOOL_FAILED', `pgbackrest ${command} printed something unexpected: ${what}`);
}
