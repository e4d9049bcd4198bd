import * as z from 'zod/mini';

/** What the steps that come over the wire are made of. Stricter than their types: nothing relative, nothing with control characters. */

const MOST_NAMES = 1_000_000;

export const line = z.string().check(z.maxLength(65_536), z.regex(/^[^\u0000-\u001f\u007f]*$/));
export const longText = z.string().check(z.maxLength(1_048_576));
export const path = z.string().check(z.maxLength(4096), z.regex(/^\/[^\u0000-\u001f\u007f]*$/), z.regex(/^(?!.*\/\.\.?(\/|$))/));
/** The name of a file in a directory, or in its archive_status. */
export const fileName = z
  .string()
  .check(z.maxLength(512), z.regex(/^(archive_status\/)?[^/\u0000-\u001f\u007f]+$/), z.regex(/^(?!.*(^|\/)\.\.?$)/));
export const fileNames = z.array(fileName).check(z.maxLength(MOST_NAMES));
export const name = z.string().check(z.minLength(1), z.maxLength(256), z.regex(/^[^/\u0000-\u001f\u007f]+$/));
export const wholeNumber = z.int().check(z.nonnegative());
export const major = z.int().check(z.minimum(9), z.maximum(99));
export const port = z.int().check(z.minimum(1), z.maximum(65_535));
export const identity = z.string().check(z.regex(/^\d+:\d+$/));

export const owner = z.strictObject({ uid: wholeNumber, gid: wholeNumber, name: line });
export const pinnedBackup = z.strictObject({ repository: name, label: name });
export const tablespaceMap = z.array(z.strictObject({ oid: wholeNumber, location: path })).check(z.maxLength(10_000));

export const service = z.discriminatedUnion('manager', [
  z.strictObject({ manager: z.literal('pg_ctl') }),
  z.strictObject({ manager: z.literal('pg_ctlcluster'), version: line, clusterName: name }),
  z.strictObject({ manager: z.literal('systemd'), unit: name }),
  z.strictObject({ manager: z.literal('patroni'), member: line }),
]);

/** A server by its data directory. */
export const heldServer = z.strictObject({
  node: name,
  dataDirectory: path,
  identity,
  systemIdentifier: name,
  postgresMajor: major,
  service,
  port,
  socketDirectory: path,
});

export const area = z.strictObject({
  root: path,
  dataDirectory: path,
  workDirectory: path,
  socketDirectory: path,
  markerFile: path,
  proofFile: path,
  logFile: path,
  hbaFile: path,
  configFile: path,
});

export const isolatedPlace = z.strictObject({ area, owner, postgresMajor: major });
export const isolatedServer = z.strictObject({ area, owner, postgresMajor: major, superusers: z.array(line).check(z.maxLength(16)) });

export const target = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('time'), time: z.bigint(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal('lsn'), lsn: z.bigint(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal('xid'), xid: z.bigint(), inclusive: z.boolean() }),
  z.strictObject({ kind: z.literal('name'), name: line }),
  z.strictObject({ kind: z.literal('immediate') }),
  z.strictObject({ kind: z.literal('latest') }),
]);
export const timeline = z.union([z.literal('latest'), z.literal('current'), wholeNumber]);
export const archiving = z.enum(['keep', 'off']);
