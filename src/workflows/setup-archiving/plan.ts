import type { ClusterConfig } from '../../config/model.ts';
import { SLOT_BOUND } from '../../domain/setup/server-settings.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step, StepBase } from '../../plan/step.ts';
import type { BackupEnginePreview } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { HostEngine } from '../../ports/hosts.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerObservation } from '../../ports/postgres-server.ts';
import {
  type NodeObservation,
  observeEngines,
  observeNodes,
  observeRepositories,
  onlyPrimary,
  type RepositoryObservations,
} from '../observe-cluster.ts';

const MINUTE_MS = 60_000;
const KEEP_SUMMARIES = 'wal_summary_keep_time';
const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 };

/** What setting up the archive is for. Plain JSON. */
export interface SetupArchivingIntent {
  readonly cluster: string;
  /** Whether a restart of the server was agreed to. */
  readonly restartAllowed: boolean;
}

export interface SetupArchivingFacts {
  readonly nodes: readonly NodeObservation[];
  readonly repositories: RepositoryObservations;
  /** What PostgreSQL has to be set to. */
  readonly wanted: Readonly<Record<string, string>>;
  /** The generated configuration of the engine differs from the one on disk, on the primary's host. */
  readonly configurationIsCurrent: boolean;
  /** Patroni manages the cluster: settings are its business. */
  readonly isPatronis: boolean;
  /** The same on this host, where the primary is on another one: what reads repositories here needs it, too. */
  readonly configurationHereIsCurrent: boolean;
}

type EngineSettings = Pick<BackupEnginePreview, 'archivingSettings' | 'backupSettings'>;

/**
 * The settings that archiving and backups need: the engine's, and archive_timeout, which bounds what an idle server can lose. Where WAL is
 * streamed its slot must be bounded, too. `postgresMajor`: of the primary; without it those are left out that not every version has.
 */
export function wantedSettings(
  { archiving, wal }: ClusterConfig,
  engine: EngineSettings,
  postgresMajor: number | undefined,
): Readonly<Record<string, string>> {
  const ofBackups = postgresMajor === undefined ? {} : engine.backupSettings(postgresMajor);
  return {
    ...engine.archivingSettings(),
    ...ofBackups,
    archive_timeout: `${archiving.archiveTimeoutSeconds}s`,
    ...(wal.streaming ? { [SLOT_BOUND]: `${wal.keepMib}MB` } : {}),
  };
}

export async function observeSetupArchiving(
  cluster: ClusterConfig,
  engine: EngineSettings,
  configurationIsCurrent: boolean,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupArchivingFacts> {
  await observeEngines(cluster, undefined, ports, context);
  const [nodes, repositories] = await Promise.all([
    observeNodes(cluster, ports, context),
    observeRepositories(cluster, undefined, { walArchive: false }, ports, context),
  ]);
  const primary = onlyPrimary(nodes);
  const major = primary?.server.postgresMajor;
  const here = { nodes, repositories, isPatronis: cluster.patroni !== undefined, configurationHereIsCurrent: true };
  if (primary === undefined || !ports.hosts.isElsewhere(primary.node.name))
    return { ...here, wanted: wantedSettings(cluster, engine, major), configurationIsCurrent };
  const there = await (await ports.hosts.look(primary.node.name, context)).observeEngine(major, context);
  return {
    ...here,
    wanted: wantedSettings(cluster, settingsOf(there), major),
    configurationIsCurrent: there.isConfigurationCurrent,
    configurationHereIsCurrent: configurationIsCurrent,
  };
}

/** What archive_command names are programs and files of the primary's host. */
function settingsOf({ archivingSettings, backupSettings }: HostEngine): EngineSettings {
  return { archivingSettings: () => archivingSettings, backupSettings: () => backupSettings };
}

/** Repositories first, then the settings, a restart only where PostgreSQL needs one, and at the end the proof. Pure. Throws where no primary answers. */
export function planSetupArchiving(intent: SetupArchivingIntent, facts: SetupArchivingFacts): Plan {
  const primary = onlyPrimary(facts.nodes);
  if (primary === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers, or more than one does');
  const unreadable = facts.repositories.unreadable[0];
  if (unreadable !== undefined)
    throw new SpokeError('REPOSITORY_UNAVAILABLE', `repository ${unreadable.repository} cannot be read: ${unreadable.message}`);
  const node = primary.node.name;
  const changes = changedSettings(primary.server, facts.wanted);
  if (facts.isPatronis) return planBesidePatroni(node, facts, Object.keys(changes));
  const restart = needsRestart(primary.server, changes);
  return {
    steps: [
      ...preparations(node, facts),
      ...(Object.keys(changes).length === 0 ? [] : [alterStep(node, primary.server, changes), reloadStep(node)]),
      ...(restart ? [restartStep(primary)] : []),
      checkStep(node),
    ],
    warnings: restart && !intent.restartAllowed ? [`${node} must be restarted for ${restartReason(primary.server, changes)}`] : [],
  };
}

/** What archive_command needs before it can work. */
function preparations(node: string, facts: SetupArchivingFacts): readonly Step[] {
  return [
    ...(facts.configurationIsCurrent ? [] : [configurationStep(node)]),
    ...(facts.configurationHereIsCurrent ? [] : [configurationHereStep()]),
    ...(facts.repositories.snapshots.every((snapshot) => snapshot.initialised) ? [] : [repositoriesStep(node)]),
  ];
}

/** Patroni would take back what is set beside it. Until it has been told, nothing is archived, and so nothing proven. */
function planBesidePatroni(node: string, facts: SetupArchivingFacts, unset: readonly string[]): Plan {
  const steps = preparations(node, facts);
  if (unset.length === 0) return { steps: [...steps, checkStep(node)], warnings: [] };
  return { steps, warnings: [`Patroni has to be told of ${unset.join(', ')}: spoke-backup setup patroni prints what; then once more`] };
}

/** Whether the plan interrupts the service. */
export function interruptsService(plan: Plan): boolean {
  return plan.steps.some((step) => step.kind === 'restart-server');
}

function changedSettings(server: ServerObservation, wanted: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => !suffices(name, server.settings[name], value)));
}

/**
 * Who keeps summaries of the WAL for longer than wanted, or for ever (0), has a reason; so has who bounded slots otherwise. Minutes, where no
 * unit is said.
 */
function suffices(name: string, present: string | undefined, wanted: string): boolean {
  if (name === SLOT_BOUND) return present !== undefined && present !== '-1';
  if (name !== KEEP_SUMMARIES || present === undefined) return sameSetting(present, wanted);
  const [has = 0, needs = 0] = [present, wanted].map((value) => secondsOf(/^\d+$/.test(value) ? `${value}min` : value));
  return has === 0 || has >= needs;
}

function sameSetting(present: string | undefined, wanted: string): boolean {
  return present === wanted || (present !== undefined && secondsOf(present) !== undefined && secondsOf(present) === secondsOf(wanted));
}

/** `60s`, `1min` and `60` mean the same archive_timeout. */
function secondsOf(value: string): number | undefined {
  const match = /^(\d+)(s|min|h|d)?$/.exec(value);
  return match === null ? undefined : Number(match[1]) * (SECONDS_OF_UNIT[match[2] ?? 's'] ?? 1);
}

function needsRestart(server: ServerObservation, changes: Readonly<Record<string, string>>): boolean {
  return changes.archive_mode !== undefined || server.pendingRestart.includes('archive_mode');
}

function restartReason(server: ServerObservation, changes: Readonly<Record<string, string>>): string {
  return `archive_mode (${server.settings.archive_mode ?? 'unknown'} → ${changes['archive_mode'] ?? 'on'})`;
}

/** Has the engine's configuration written on the host of a node. */
export function configurationStep(node: string): Step {
  return {
    ...base('write-configuration', 'write', 'Write the engine configuration (0600)', 'it differs from what the configuration says'),
    kind: 'write-configuration',
    probe: 'the file has this content',
    on: node,
  };
}

function configurationHereStep(): Step {
  return {
    ...base('write-configuration:here', 'write', 'Write the engine configuration (0600) on this host', 'it reads the repositories, too'),
    kind: 'write-configuration',
    probe: 'the file has this content',
  };
}

function repositoriesStep(node: string): Step {
  return {
    ...base('create-repositories', 'write', 'Set up the repositories', 'at least one has not been set up for this cluster'),
    kind: 'create-repositories',
    probe: 'the catalogue of each repository can be read',
    retry: 'transient',
    on: node,
  };
}

function alterStep(node: string, server: ServerObservation, changes: Readonly<Record<string, string>>): Step {
  const shown = Object.entries(changes).map(([name, value]) => `${name}: ${server.settings[name] || '(empty)'} → ${value}`);
  return {
    ...base(
      'alter-system',
      'write',
      `Set on ${node}: ${shown.join('; ')}`,
      'PostgreSQL hands its WAL to the engine, at the latest after archive_timeout',
    ),
    kind: 'alter-system',
    probe: 'pg_settings shows them',
    node,
    settings: changes,
  };
}

function reloadStep(node: string): Step {
  return {
    ...base('reload-configuration', 'write', `Reload the configuration of ${node}`, 'settings take effect'),
    kind: 'reload-configuration',
    probe: 'pg_settings shows them',
    node,
  };
}

function restartStep(primary: NodeObservation & { readonly server: ServerObservation }): Step {
  const { node, server } = primary;
  return {
    ...base('restart-server', 'destructive', `Restart ${node.name}`, 'archive_mode takes effect at a start only'),
    kind: 'restart-server',
    probe: 'archive_mode is on and nothing waits for a restart',
    on: node.name,
    node: node.name,
    dataDirectory: server.dataDirectory ?? node.dataDirectory,
    postgresMajor: server.postgresMajor,
    service: node.service,
  };
}

function checkStep(node: string): Step {
  return {
    ...base('check-archiving', 'read', 'Have one WAL segment archived and find it in every repository', 'archiving is proven, not assumed'),
    kind: 'check-archiving',
    probe: 'the engine finds the segment',
    timeoutMs: 3 * MINUTE_MS,
    retry: 'transient',
    on: node,
    node,
  };
}

function base(id: string, effect: StepBase['effect'], title: string, reason: string): Omit<StepBase, 'probe'> {
  return { id, effect, title, reason, timeoutMs: 5 * MINUTE_MS, retry: 'never', onFailure: 'stop' };
}
