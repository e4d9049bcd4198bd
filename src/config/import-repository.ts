import type { ImportOptions } from './import-options.ts';

/** A repository in the words of our file. */
export type ImportedRepository = Record<string, unknown>;

/** pgBackRest keeps by count what we keep by days: until somebody decides, nothing may expire. */
const KEEP_EVERYTHING_DAYS = 36_500;

/** The repository of that number; undefined, with a warning, where we have no such kind. */
export function importRepository(options: ImportOptions, number: number): ImportedRepository | undefined {
  const prefix = `repo${number}-`;
  const host = options.take(`${prefix}host`);
  const type = options.take(`${prefix}type`);
  const kind = type?.value ?? 'posix';
  if (host !== undefined || (kind !== 'posix' && kind !== 's3')) {
    const reason = host === undefined ? `its type ${kind} is not supported` : 'it is on another host, which is not supported';
    const [first] = options.takeAll(prefix);
    const entry = host ?? type ?? first;
    if (entry !== undefined) options.warn(entry, `repo${number} was left out: ${reason}`);
    return undefined;
  }
  const repository = kind === 'posix' ? importLocal(options, prefix, number) : importS3(options, prefix, number);
  const encryptionPassphrase = importCipher(options, prefix);
  return {
    ...repository,
    retention: { days: importRetention(options, prefix, number) },
    ...(encryptionPassphrase === undefined ? {} : { encryptionPassphrase }),
  };
}

function importLocal(options: ImportOptions, prefix: string, number: number): ImportedRepository {
  const path = options.takeValue(`${prefix}path`) ?? '/var/lib/pgbackrest';
  return { name: `repo${number}`, kind: 'local', path };
}

function importS3(options: ImportOptions, prefix: string, number: number): ImportedRepository {
  const keyType = options.takeValue(`${prefix}s3-key-type`);
  const shared = keyType === undefined || keyType === 'shared';
  const kmsKeyId = options.takeValue(`${prefix}s3-kms-key-id`);
  const values = {
    name: `repo${number}`,
    kind: 's3',
    bucket: options.takeValue(`${prefix}s3-bucket`),
    ...importEndpoint(options, prefix),
    region: options.takeValue(`${prefix}s3-region`),
    pathPrefix: options.takeValue(`${prefix}path`) ?? '/var/lib/pgbackrest',
    uriStyle: options.takeValue(`${prefix}s3-uri-style`),
    caFile: options.takeValue(`${prefix}storage-ca-file`),
    verifyTls: importBoolean(options.takeValue(`${prefix}storage-verify-tls`)),
    keyType,
    accessKey: shared ? options.requireSecret(`${prefix}s3-key`) : options.takeSecret(`${prefix}s3-key`),
    secretKey: shared ? options.requireSecret(`${prefix}s3-key-secret`) : options.takeSecret(`${prefix}s3-key-secret`),
    sessionToken: options.takeSecret(`${prefix}s3-token`),
    serverSideEncryption: kmsKeyId === undefined ? undefined : { type: 'aws:kms', kmsKeyId },
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** `https://host:port` is accepted by pgBackRest where we have two keys. */
function importEndpoint(options: ImportOptions, prefix: string): { endpoint?: string; port?: number } {
  const entry = options.take(`${prefix}s3-endpoint`);
  const storagePort = options.takeNumber(`${prefix}storage-port`);
  if (entry === undefined) return storagePort === undefined ? {} : { port: storagePort };
  if (entry.value.startsWith('http://')) options.warn(entry, 'an endpoint without TLS is not supported; https is used');
  const [, endpoint = entry.value, own] = /^(?:https?:\/\/)?([^:/]+)(?::(\d+))?\/?$/.exec(entry.value) ?? [];
  const port = storagePort ?? (own === undefined ? undefined : Number(own));
  return port === undefined ? { endpoint } : { endpoint, port };
}

function importBoolean(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== 'n';
}

function importCipher(options: ImportOptions, prefix: string): string | undefined {
  const type = options.takeValue(`${prefix}cipher-type`) ?? 'none';
  if (type !== 'none') return options.requireSecret(`${prefix}cipher-pass`);
  options.take(`${prefix}cipher-pass`);
  return undefined;
}

function importRetention(options: ImportOptions, prefix: string, number: number): number {
  const full = options.take(`${prefix}retention-full`);
  const type = options.takeValue(`${prefix}retention-full-type`) ?? 'count';
  for (const name of ['retention-archive', 'retention-archive-type']) {
    const entry = options.take(`${prefix}${name}`);
    if (entry !== undefined) options.warn(entry, `${entry.name} was left out: WAL is kept as long as the oldest backup needs it`);
  }
  const days = Number(full?.value);
  if (full !== undefined && type === 'time' && Number.isInteger(days) && days >= 1) return Math.min(days, KEEP_EVERYTHING_DAYS);
  const advice = `retention.days of repo${number} was set to ${KEEP_EVERYTHING_DAYS}, so that nothing expires before you set it`;
  if (full === undefined) options.warnings.push(`repo${number} has no retention-full: ${advice}`);
  else options.warn(full, `${full.name} counts backups, we count days: ${advice}`);
  return KEEP_EVERYTHING_DAYS;
}
