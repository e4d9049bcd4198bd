import type { NodeConfig } from '../../config/model.ts';
import { primaryConninfo } from '../../domain/setup/conninfo.ts';
import type { ReseedChoice } from '../../domain/topology/reseed-method.ts';
import type { PossibleReseed } from '../../domain/topology/reseed-option.ts';
import type { SeedSource } from '../../domain/topology/reseed-facts.ts';
import { archivesToFollow } from '../../domain/topology/standby-archive.ts';
import { slotOf } from '../../domain/topology/slot-name.ts';
import { SpokeError } from '../../errors.ts';
import type { PublicAddress } from '../setup-cluster/addresses.ts';
import { connectionSettings } from '../setup-cluster/server.ts';
import { restoreAreaFor } from '../restore/intent.ts';
import { bouncersLeftAlone } from './front.ts';
import { type ReseedIntent, type Seeding, worksInPlace } from './intent.ts';
import { refuseReseed } from './refuse.ts';
import type { ReseedRequest, ReseedWorld, SeedingWorld } from './request.ts';

const MEBIBYTE = 1024n * 1024n;

/** How the standby is brought back. Pure. Throws why nothing may be done. */
export function decideReseed(request: ReseedRequest, world: ReseedWorld): ReseedIntent {
  refuseReseed(request, world);
  const { seeding, topology, target } = world;
  const chosen = seeding?.choice.chosen;
  const { source } = chosen ?? {};
  if (seeding === undefined || chosen === undefined || source === undefined || topology.primary === undefined)
    throw new SpokeError('INTERNAL', 'nothing was refused and nothing chosen');
  const { cluster, node, keepOld, suffix } = request;
  const { directory, owner, facts, choice } = seeding;
  if (owner === undefined) throw new SpokeError('INTERNAL', 'nobody owns what is seeded');
  const { method } = chosen;
  const path = directory.path;
  const primary = topology.primary.node;
  const { running } = directory;
  return {
    ...{ cluster: cluster.name, node, primary, keepOld },
    ...seedingBy({ ...chosen, source, reason: `${choice.reason}: ${chosen.reason}` }, request, seeding, primary),
    instead: method === 'rewind' ? insteadOf(choice, request, seeding, primary) : null,
    systemIdentifier: String(facts.primary.systemIdentifier),
    postgresMajor: facts.primary.postgresMajor,
    dataDirectory: path,
    destinationIdentity: directory.identity ?? null,
    area: restoreAreaFor(path, suffix),
    owner,
    service: target.node.service,
    port: target.node.port ?? running?.port ?? addressOf(node, seeding).port,
    socketDirectory: target.node.socketDirectory ?? running?.socketDirectory ?? '/tmp',
    configFile: configFileOf(world, directory.hasPostgresqlConf),
    ...connectionOf(request, seeding, primary),
    rewindFrom: facts.snapshots.find((one) => one.systemIdentifier === facts.primary.systemIdentifier)?.repository ?? null,
    tablespaceMap: directory.tablespaces.map(({ oid, location }) => ({ oid, location })),
    maxLagBytes: String(BigInt(cluster.reseed.maxLagMib) * MEBIBYTE),
    patienceMs: cluster.reseed.streamTimeoutSeconds * 1000,
    warnings: warningsOf(request, world, seeding, chosen),
  };
}

/** What was chosen with all that it needs. */
function seedingBy(
  chosen: PossibleReseed & { readonly source: SeedSource },
  { cluster, node, suffix }: ReseedRequest,
  seeding: SeedingWorld,
  primary: string,
): Seeding {
  const { method, source, reason } = chosen;
  const { role, sslMode } = cluster.replication;
  const { path, kind } = seeding.directory;
  const from = source.kind === 'standby' ? source.name : primary;
  const server = { ...addressOf(from, seeding), user: role, passfile: passfileOf(seeding), sslMode, applicationName: node };
  return {
    ...{ method, source, reason },
    backup: backupOf(chosen, source, seeding),
    conninfo: primaryConninfo(server),
    oldDataDirectory: kind !== 'absent' && !worksInPlace(method) ? `${path}.old-${suffix}` : null,
    restoreFrom: restoreFromOf(source, seeding),
  };
}

function insteadOf({ instead }: ReseedChoice, request: ReseedRequest, seeding: SeedingWorld, primary: string): Seeding | null {
  if (instead?.source === undefined) return null;
  const { source } = instead;
  return seedingBy({ ...instead, source, reason: `pg_rewind was interrupted: ${instead.reason}` }, request, seeding, primary);
}

function passfileOf({ directory }: SeedingWorld): string {
  return `${directory.path}.pgpass`;
}

function backupOf({ backup }: PossibleReseed, source: SeedSource, { facts }: SeedingWorld): ReseedIntent['backup'] {
  const snapshot = facts.snapshots.find(({ repository }) => repository === source.name);
  return backup === undefined || snapshot === undefined ? null : { repository: snapshot.repository, label: backup };
}

/** The slot, and how the standby follows its primary. */
function connectionOf(
  { cluster, node }: ReseedRequest,
  seeding: SeedingWorld,
  primary: string,
): Pick<ReseedIntent, 'slot' | 'settings' | 'passfile'> {
  const { role } = cluster.replication;
  const path = passfileOf(seeding);
  const slot = slotOf(node);
  const settings = connectionSettings(cluster, node, addressOf(primary, seeding), path, slot);
  const servers = cluster.nodes.filter(({ name }) => name !== node).map(({ name }) => addressOf(name, seeding));
  return {
    slot,
    settings: { ...Object.fromEntries(settings.map(({ name, value }) => [name, value])), ...ownPlace(cluster, node, seeding) },
    passfile: seeding.hasReplicationPassword ? { path, role, servers } : null,
  };
}

/** What the files of the source would say wrongly, where servers differ in it: most do not, being on hosts of their own. */
function ownPlace({ nodes }: ReseedRequest['cluster'], name: string, seeding: SeedingWorld): Readonly<Record<string, string>> {
  const node = nodes.find((one) => one.name === name);
  const portOf = (one: NodeConfig) => one.port ?? addressOf(one.name, seeding).port;
  const ports = new Set(nodes.map(portOf));
  const sockets = new Set(nodes.map(({ socketDirectory }) => socketDirectory));
  return {
    ...(node !== undefined && ports.size > 1 ? { port: String(portOf(node)) } : {}),
    ...(node?.socketDirectory !== undefined && sockets.size > 1 ? { unix_socket_directories: node.socketDirectory } : {}),
  };
}

function addressOf(node: string, { addresses }: SeedingWorld): PublicAddress {
  const found = addresses.get(node);
  if (found === undefined) throw new SpokeError('INTERNAL', `${node} has no address`);
  return { host: found.host, port: found.port };
}

/** Where the server says it is, which may be beside /etc; known only while it answers. */
function configFileOf({ target }: ReseedWorld, isInDataDirectory: boolean): string | null {
  return isInDataDirectory ? null : (target.server?.settings['config_file'] ?? null);
}

/** The repository that seeds it, else the first with WAL of this cluster. */
function restoreFromOf(source: SeedSource, { facts }: SeedingWorld): ReseedIntent['restoreFrom'] {
  const { systemIdentifier, history } = facts.primary;
  const usable = archivesToFollow(facts.snapshots, { systemIdentifier, timeline: history.timeline });
  return (usable.find(({ repository }) => repository === source.name) ?? usable[0])?.repository ?? null;
}

function warningsOf({ cluster, node }: ReseedRequest, world: ReseedWorld, seeding: SeedingWorld, { method }: PossibleReseed) {
  const { role, repositories } = world;
  const wasPrimary = role.role === 'stopped' && role.wouldBe === 'primary';
  return [
    ...(wasPrimary ? [`${node} was a primary: what it committed and ${world.topology.primary?.node} has not goes with its old data`] : []),
    ...(worksInPlace(method) ? [`half-way the old data of ${node} cannot be started: the run is resumed then`] : []),
    ...(method === 'rewind' || method === 'basebackup'
      ? ['configuration files in the data directory become those of the source; only the settings of the standby are its own']
      : []),
    ...bouncersLeftAlone(cluster, seeding.front).map(
      (name) => `PgBouncer ${name} is left as it is: it is on another host, or its configuration is not one of ours`,
    ),
    ...seeding.unusable,
    ...repositories.unreadable.map((one) => `repository ${one.repository} could not be read: ${one.message}`),
  ];
}
