import * as z from 'zod';
import * as patterns from './patterns.ts';
import { checkUrlTemplate } from './postgres-url.ts';
import { refusalOfExtraOption } from './generated-options.ts';
import { parseSecretReference, parseSecretText, SECRET_REFERENCE_PATTERN, SecretReference } from './secrets.ts';

const name = z.string().regex(patterns.NAME_PATTERN, { error: patterns.NAME_RULE });
const absolutePath = z.string().max(4096).regex(patterns.PATH_PATTERN, { error: patterns.PATH_RULE }).overwrite(withoutLastSlash);
const program = z.string().regex(patterns.COMMAND_PATTERN, { error: patterns.COMMAND_RULE });
const port = z.int().min(1).max(65535);
const argument = z.string().regex(/^[^\0]*$/, { error: 'must not contain NUL' });
const argv = z.tuple([program], argument);
const days = z.int().min(1).max(36_500);
const seconds = z.int().min(1).max(31_536_000);

const SECRET_RULE =
  'must be a reference to a secret: ${env:NAME}, ${file:/absolute/path} or {passwordCommand: [program, argument]}. ' +
  'A secret itself is refused here, because this file is shown, copied and kept';

const secret = z
  .union(
    [
      z.string().regex(SECRET_REFERENCE_PATTERN, { error: SECRET_RULE }),
      z.strictObject({ passwordCommand: argv.describe('Program and arguments; prints the secret on its standard output.') }),
    ],
    { error: SECRET_RULE },
  )
  .transform((value): SecretReference => {
    const reference = typeof value === 'string' ? parseSecretReference(value) : undefined;
    return reference ?? new SecretReference({ kind: 'command', argv: typeof value === 'string' ? [] : value.passwordCommand });
  });

const url = z.string().transform((text, context) => {
  const template = parseSecretText(text);
  const fault = template === undefined ? 'a reference in it is neither ${env:NAME} nor ${file:/absolute/path}' : checkUrlTemplate(template);
  if (template !== undefined && fault === undefined) return template;
  context.issues.push({ code: 'custom', message: `must be a URL postgresql://user@host:port/database: ${fault}`, input: text });
  return z.NEVER;
});

const serviceVersion = z.union([z.string(), z.number()], { error: 'must be a version, such as 15' }).transform(String);

const service = z.discriminatedUnion(
  'manager',
  [
    z.strictObject({ manager: z.literal('pg_ctl').describe('The server is started by hand, or by us.') }),
    z.strictObject({
      manager: z.literal('pg_ctlcluster').describe("Debian's wrapper of pg_ctl."),
      version: serviceVersion
        .refine((version) => /^\d{1,2}(\.\d{1,2})?$/.test(version), { error: 'must be a version, such as 15' })
        .describe('Major version of PostgreSQL, as pg_lsclusters prints it.'),
      clusterName: name.describe('The name of the cluster as pg_lsclusters prints it.'),
    }),
    z.strictObject({
      manager: z.literal('systemd').describe('A unit of systemd.'),
      unit: z
        .string()
        .regex(patterns.UNIT_PATTERN, { error: 'must be the name of a systemd unit, such as postgresql@15-main.service' })
        .describe('The unit that runs the server.'),
    }),
  ],
  { error: 'must be one of pg_ctl, pg_ctlcluster, systemd' },
);

const node = z.strictObject({
  name: name.describe('Name of the server within the cluster.'),
  url: url.optional().describe('postgresql:// URL by which the server is reached; a password in it must be a reference.'),
  passwordFile: absolutePath.optional().describe('File with the password for url; readable by its owner only.'),
  passwordCommand: argv.optional().describe('Program and arguments that print the password for url.'),
  dataDirectory: absolutePath.optional().describe('The data directory of the server.'),
  socketDirectory: absolutePath.optional().describe('Where the unix socket of the server is.'),
  port: port.optional().describe('Port of the server, also of its unix socket.'),
  service: service.prefault({ manager: 'pg_ctl' }).describe('What starts and stops the server in normal operation.'),
});

const repositoryBase = {
  name: name.describe('Name of the repository, for --repo.'),
  encryptionPassphrase: secret.optional().describe('With it everything in the repository is encrypted (aes-256-cbc).'),
};

function retention(defaultDays: number) {
  return z
    .strictObject({
      days: days.default(defaultDays).describe('Any instant of the last so many days can be restored.'),
    })
    .prefault({})
    .describe('How long backups and WAL are kept.');
}

const localRepository = z.strictObject({
  ...repositoryBase,
  kind: z.literal('local').describe('A directory on this machine.'),
  path: absolutePath.describe('The directory of the repository.'),
  retention: retention(7),
});

const s3Repository = z.strictObject({
  ...repositoryBase,
  kind: z.literal('s3').describe('A bucket of an S3 service.'),
  bucket: z.string().regex(patterns.BUCKET_PATTERN, { error: 'must be the name of a bucket' }).describe('The bucket.'),
  endpoint: z
    .string()
    .regex(patterns.HOST_PATTERN, { error: 'must be a host name or an IPv4 address, without https:// and without a port (see port)' })
    .describe('Host of the service, without scheme and port.'),
  port: port.optional().describe('Port of the service; 443 where it is not given.'),
  region: z.string().regex(patterns.REGION_PATTERN, { error: 'must be the name of a region' }).describe('Region of the bucket.'),
  pathPrefix: absolutePath.optional().describe('Path within the bucket; /<cluster> where it is not given.'),
  uriStyle: z.enum(['host', 'path']).default('host').describe('path for services that do not answer on bucket.endpoint.'),
  caFile: absolutePath.optional().describe('Certificates of the authority that signed the certificate of the service (PEM).'),
  verifyTls: z.boolean().default(true).describe('Whether the certificate of the service is verified.'),
  keyType: z
    .enum(['shared', 'auto', 'web-id'])
    .default('shared')
    .describe('shared: accessKey and secretKey; auto: role of the machine; web-id: web identity token.'),
  accessKey: secret.optional().describe('The access key, by reference. Required with keyType shared.'),
  secretKey: secret.optional().describe('The secret key, by reference. Required with keyType shared.'),
  sessionToken: secret.optional().describe('The token of temporary credentials, by reference.'),
  checksums: z.enum(['auto', 'when_required']).default('auto').describe('when_required for services that refuse additional checksums.'),
  retention: retention(30),
});

const repository = z.discriminatedUnion('kind', [localRepository, s3Repository], { error: 'must be one of local, s3' });

const optionValue = z
  .union([z.string(), z.int(), z.boolean()], { error: patterns.INI_VALUE_RULE })
  .transform((value) => (typeof value === 'boolean' ? (value ? 'y' : 'n') : String(value)))
  .refine((value) => patterns.INI_VALUE_PATTERN.test(value) && value === value.trim(), { error: patterns.INI_VALUE_RULE });

const extraOptions = z.record(
  z
    .string()
    .regex(patterns.OPTION_NAME_PATTERN, { error: 'must be the name of a pgBackRest option' })
    .superRefine((option, context) => {
      const reason = refusalOfExtraOption(option);
      if (reason !== undefined) context.addIssue({ code: 'custom', message: `may not be set: ${reason}` });
    }),
  optionValue,
);

const pgbackrest = z.strictObject({
  command: program.default('pgbackrest').describe('Path of pgbackrest, or its name in PATH.'),
  processMax: z.int().min(1).max(999).default(2).describe('Processes that compress and copy at the same time.'),
  compressType: z.enum(['lz4', 'zst', 'gz', 'bz2', 'none']).default('zst').describe('How files in the repositories are compressed.'),
  compressLevel: z.int().min(-7).max(22).optional().describe('Level of the compression; its own default where it is not given.'),
  lockPath: absolutePath.optional().describe('Directory of the lock files.'),
  spoolPath: absolutePath.optional().describe('Directory of the WAL spool; on a local disk, not inside pg_wal.'),
  extraOptions: extraOptions.prefault({}).describe('Further options for the section [global] of the generated pgbackrest.conf.'),
});

const scheduleName = z.string().refine((text) => patterns.NAME_PATTERN.test(text) || patterns.PATH_PATTERN.test(text), {
  error: 'must be the name of a schedule, or the absolute path of a schedule file',
});

const cluster = z.strictObject({
  engine: z.literal('pgbackrest').default('pgbackrest').describe('What takes and restores the backups.'),
  stanza: z
    .string()
    .regex(patterns.STANZA_PATTERN, { error: patterns.STANZA_RULE })
    .optional()
    .describe('Name of the cluster for pgBackRest; the name of the cluster where it is not given.'),
  osUser: z
    .string()
    .regex(patterns.OS_USER_PATTERN, { error: 'must be the name of a user of the operating system' })
    .optional()
    .describe('The user that owns the data directories; their owner where it is not given.'),
  postgresqlBinDirectory: absolutePath.optional().describe('Directory of pg_ctl and postgres; looked for where it is not given.'),
  pgbackrest: pgbackrest.prefault({}).describe('How pgBackRest is run.'),
  nodes: z.array(node).max(64).default([]).describe('The servers of the cluster.'),
  repositories: z.array(repository).max(256).default([]).describe('Where backups and WAL are kept.'),
  archiving: z
    .strictObject({
      archiveTimeoutSeconds: z.int().min(1).max(86_400).default(60).describe('archive_timeout of PostgreSQL, in seconds.'),
    })
    .prefault({})
    .describe('How WAL is archived.'),
  restore: z
    .strictObject({
      keepOldDays: days.default(7).describe('Days for which a data directory that a restore replaced is kept.'),
    })
    .prefault({})
    .describe('What restores leave behind.'),
  objectives: z
    .strictObject({
      rpoSeconds: seconds.optional().describe('The most that may be lost, in seconds.'),
      rtoSeconds: seconds.optional().describe('The longest that a restore may take, in seconds.'),
    })
    .optional()
    .describe('What is promised; compared with what is measured.'),
  schedules: z.array(scheduleName).max(64).default([]).describe('Names of schedules, or absolute paths of schedule files.'),
});

/** The whole file. */
export const configurationSchema = z.strictObject({
  stateDirectory: absolutePath.default('/var/lib/spoke-backup').describe('Directory of the journals, locks and generated files.'),
  timezone: z
    .string()
    .refine(patterns.isTimezone, { error: patterns.TIMEZONE_RULE })
    .optional()
    .describe('Zone of instants that are typed without one; without it they are refused.'),
  clusters: z
    .record(z.string().regex(patterns.NAME_PATTERN, { error: patterns.NAME_RULE }), cluster)
    .refine((clusters) => Object.keys(clusters).length > 0, { error: 'must name at least one cluster' })
    .describe('The clusters, by name.'),
});

/** What the file says once it has been checked and its defaults filled in. */
export type ConfigurationValues = z.output<typeof configurationSchema>;
export type ClusterValues = ConfigurationValues['clusters'][string];
export type NodeValues = ClusterValues['nodes'][number];
export type RepositoryValues = ClusterValues['repositories'][number];

/** pgBackRest does not like `/a/` for `/a`; nor do comparisons of paths. */
function withoutLastSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
