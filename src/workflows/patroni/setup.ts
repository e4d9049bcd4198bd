import type { ClusterConfig } from '../../config/model.ts';
import type { BackupEnginePreview, StandbyRecipe } from '../../ports/backup-engine.ts';
import { wantedSettings } from '../setup-archiving/plan.ts';

/** A part of Patroni's configuration, as it is in YAML. */
export type PatroniSettings = Readonly<Record<string, unknown>>;

/** What Patroni has to be told, so that WAL is archived and replicas are made of backups. Nothing here does it. */
export interface PatroniSetup {
  /** For the dynamic configuration (patronictl edit-config): the same on every member. */
  readonly dynamic: PatroniSettings;
  /** What of `dynamic` is not so yet, by its path; undefined where Patroni could not be asked. */
  readonly missing?: readonly string[];
  /** For patroni.yml of each node, by its name: it names files of that host. */
  readonly members: ReadonlyMap<string, PatroniSettings>;
  /** What one should know, a line each. */
  readonly notes: readonly string[];
}

/** Data directories are the nodes' own; what is not known of a node stands for its own data directory. */
const UNKNOWN_DIRECTORY = '/data/directory/of/this/member';
const CREATION_METHOD = 'pgbackrest';

/** `present`: the dynamic configuration that Patroni has. Pure. */
export function patroniSetup(
  cluster: ClusterConfig,
  engine: Pick<BackupEnginePreview, 'archivingSettings' | 'backupSettings' | 'standbyRecipe'>,
  postgresMajor: number | undefined,
  present: PatroniSettings | undefined,
): PatroniSetup {
  const dynamic = {
    postgresql: {
      parameters: wantedSettings(cluster, engine, postgresMajor),
      // Patroni keeps this name for what PostgreSQL has in postgresql.conf since 12.
      recovery_conf: {
        restore_command: engine.standbyRecipe(UNKNOWN_DIRECTORY).restoreCommand,
        recovery_target_timeline: 'latest',
      },
    },
  };
  const members = new Map(
    cluster.nodes.map(({ name, dataDirectory }) => [name, memberSettings(engine.standbyRecipe(dataDirectory ?? UNKNOWN_DIRECTORY))]),
  );
  return {
    dynamic,
    ...(present === undefined ? {} : { missing: missingIn(present, dynamic) }),
    members,
    notes: notesOf(cluster, engine.standbyRecipe(UNKNOWN_DIRECTORY)),
  };
}

/** A backup first; where there is none yet, or it cannot be read, a copy of the leader. */
function memberSettings({ restoreBackup }: StandbyRecipe): PatroniSettings {
  const basebackup = { checkpoint: 'fast' };
  if (restoreBackup === undefined) return { postgresql: { create_replica_methods: ['basebackup'], basebackup } };
  return {
    postgresql: {
      create_replica_methods: [CREATION_METHOD, 'basebackup'],
      [CREATION_METHOD]: { command: restoreBackup.map(shellWord).join(' '), keep_data: true, no_params: true },
      basebackup,
    },
  };
}

/** Patroni takes a command apart as a shell would. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function notesOf({ nodes }: ClusterConfig, { restoreBackup }: StandbyRecipe): readonly string[] {
  const unknown = nodes.filter(({ dataDirectory }) => dataDirectory === undefined).map(({ name }) => name);
  return [
    'archive_mode takes effect at a start: patronictl restart, the leader last',
    'the files that are named are written on each host by: spoke-backup setup archiving',
    ...(restoreBackup === undefined
      ? ['the native engine restores by this program alone: replicas are made by pg_basebackup, and get older WAL from the archive']
      : []),
    ...(unknown.length === 0 ? [] : [`dataDirectory of ${unknown.join(', ')} is not in the configuration: put it in`]),
  ];
}

/** Paths of leaves of `wanted` that are otherwise in `present`. */
export function missingIn(present: PatroniSettings, wanted: PatroniSettings, prefix = ''): readonly string[] {
  return Object.entries(wanted).flatMap(([name, value]) => {
    const [path, there] = [`${prefix}${name}`, present[name]];
    if (isRecord(value)) return missingIn(isRecord(there) ? there : {}, value, `${path}.`);
    return saysTheSame(there, value) ? [] : [path];
  });
}

function isRecord(value: unknown): value is PatroniSettings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** YAML turns on and off into true and false on their way into Patroni. */
function saysTheSame(there: unknown, wanted: unknown): boolean {
  return there !== undefined && there !== null && word(there) === word(wanted);
}

function word(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}
