import type { ClusterConfig, NodeConfig } from '../../config/model.ts';
import { primaryConninfo } from '../../domain/setup/conninfo.ts';
import { type HbaRule, withHbaRules } from '../../domain/postgres/hba.ts';
import { BACKUP_RIGHTS, REPLICATION_RIGHTS, type RoleRights, rightsFor } from '../../domain/setup/roles.ts';
import {
  replicationSettings,
  type SettingChange,
  settingChanges,
  tunedSettings,
  type WantedSetting,
} from '../../domain/setup/server-settings.ts';
import { type Dependents, type WithheldChange, withheldChanges } from '../../domain/setup/withheld.ts';
import { SpokeError } from '../../errors.ts';
import type { Step } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress, ServerObservation } from '../../ports/postgres-server.ts';
import type { HbaFacts, SettingFacts } from '../../ports/server-setup.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import { type PublicAddress, publicAddressOf } from './addresses.ts';
import { setupStep } from './step.ts';

/** A node that answers. */
export type AnsweringNode = NodeObservation & { readonly server: ServerObservation };

/** The address that we ask a node at. Throws REFUSED_PRECONDITION where its files are on another host. */
export async function addressOfHere(node: NodeConfig, { access }: Pick<ReadPorts, 'access'>): Promise<ServerAddress> {
  if (node.ssh !== undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `${node.name} is on another host, and so are its memory and its files`, {
      hint: `Run it there (${node.ssh.host}), with a configuration in which ${node.name} has no ssh.`,
    });
  const address = await access.addressOf(node.name);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node.name} has no url in the configuration`);
  return address;
}

/** The settings of a server, which of them are to change, and what is not changed although it should be. */
export interface ServerSettings {
  readonly present: readonly SettingFacts[];
  readonly changes: readonly SettingChange[];
  readonly withheld: readonly WithheldChange[];
}

/** What is wanted of it beside what every server needs, and the standbys that follow it. */
interface ServerNeeds {
  readonly further?: readonly WantedSetting[];
  readonly standbys?: Dependents['standbys'];
}

export async function observeServerSettings(
  cluster: ClusterConfig,
  address: ServerAddress,
  { further = [], standbys = [] }: ServerNeeds,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ServerSettings> {
  const places = await Promise.all(cluster.nodes.map((node) => publicAddressOf(node, ports)));
  const othersConnect = places.some(({ host }) => !['localhost', '127.0.0.1', '::1'].includes(host));
  const machine = await ports.setup.machine.facts();
  const bound = cluster.wal.streaming ? {} : { keepMib: cluster.wal.keepMib };
  const wanted = [...replicationSettings({ othersConnect, ...bound }), ...tunedSettings(machine), ...further];
  const present = await ports.setup.servers.observeSettings(
    address,
    wanted.map(({ name }) => name),
    context,
  );
  const { slots } = await ports.postgres.observeReplication(address, context);
  const changes = settingChanges(present, wanted);
  const withheld = withheldChanges(changes, { standbys, slots });
  return { present, changes: changes.filter(({ name }) => !withheld.some((one) => one.name === name)), withheld };
}

/** Which of the changes, or what was changed before, takes effect at a start only. */
export function restartReasons({ present, changes }: ServerSettings): readonly string[] {
  const names = new Set(changes.map(({ name }) => name));
  return present.filter((one) => one.pendingRestart || (one.needsRestart && names.has(one.name))).map(({ name }) => name);
}

/** One step a setting, so that each has its reason; nothing where all is as it should be. */
export function settingSteps(node: string, role: 'primary' | 'standby', { changes }: ServerSettings): readonly Step[] {
  return changes.map(({ name, value, present, reason }) =>
    setupStep(
      {
        id: `configure-server ${node} ${name}`,
        title: `Set on ${node}: ${name}: ${name === 'primary_conninfo' ? '(another)' : present} → ${value}`,
        reason,
        probe: 'pg_settings shows it',
      },
      { kind: 'configure-server', node, role, settings: { [name]: value } },
    ),
  );
}

export function restartStep({ node, server }: AnsweringNode, reasons: readonly string[]): Step {
  return {
    id: 'restart-server',
    effect: 'destructive',
    title: `Restart ${node.name}`,
    reason: `${reasons.join(', ')}: at a start only`,
    probe: 'nothing waits for a restart',
    timeoutMs: 5 * 60_000,
    retry: 'never',
    onFailure: 'stop',
    kind: 'restart-server',
    node: node.name,
    dataDirectory: server.dataDirectory ?? node.dataDirectory,
    postgresMajor: server.postgresMajor,
    service: node.service,
  };
}

/** A role that is wanted, and whether it is there with all that it needs. */
export interface WantedRole {
  readonly role: string;
  readonly purpose: 'replication' | 'backup';
  readonly rights: RoleRights;
  readonly isCurrent: boolean;
  /** What it lacks, for people. */
  readonly lacks: readonly string[];
}

export async function observeRoles(
  cluster: ClusterConfig,
  primary: AnsweringNode,
  address: ServerAddress,
  ports: ReadPorts,
  context: OperationContext,
): Promise<readonly WantedRole[]> {
  const { replication, backupRole } = cluster;
  const wanted = [
    { role: replication.role, purpose: 'replication' as const, rights: REPLICATION_RIGHTS },
    ...(backupRole === undefined ? [] : [{ role: backupRole.role, purpose: 'backup' as const, rights: BACKUP_RIGHTS }]),
  ];
  return Promise.all(
    wanted.map(async ({ role, purpose, rights: all }) => {
      const rights = rightsFor(all, primary.server.postgresMajor);
      const lacks = await lackingOf({ role, purpose, rights }, address, ports, context);
      return { role, purpose, rights, lacks, isCurrent: lacks.length === 0 };
    }),
  );
}

async function lackingOf(
  { role, purpose, rights }: Pick<WantedRole, 'role' | 'purpose' | 'rights'>,
  address: ServerAddress,
  { setup }: ReadPorts,
  context: OperationContext,
): Promise<readonly string[]> {
  const found = await setup.servers.observeRole(address, { name: role, ...rights }, context);
  if (found === undefined) return ['it does not exist'];
  const password = await (purpose === 'replication' ? setup.secrets.replicationPassword() : setup.secrets.backupPassword());
  const verifier = (await setup.servers.readVerifiers(address, [role], context)).get(role);
  const fits = password === undefined || (verifier !== undefined && (await setup.verifiers.matches(verifier, password)));
  return [
    ...(found.canLogin ? [] : ['LOGIN']),
    ...(found.replication || found.superuser || !rights.replication ? [] : ['REPLICATION']),
    ...rights.memberOf.filter((one) => !found.memberOf.includes(one)),
    ...rights.mayExecute.filter((one) => !found.mayExecute.includes(one)),
    ...(fits ? [] : ['the password of the configuration']),
  ];
}

export function roleSteps(node: string, roles: readonly WantedRole[]): readonly Step[] {
  return roles
    .filter(({ isCurrent }) => !isCurrent)
    .map(({ role, purpose, rights, lacks }) =>
      setupStep(
        {
          id: `ensure-role ${role}`,
          title: `Give role ${role} what ${purpose === 'replication' ? 'standbys connect' : 'backups are taken'} with`,
          reason: `lacking: ${lacks.join(', ')}`,
          probe: 'pg_authid and the privileges show it',
        },
        { kind: 'ensure-role', node, role, purpose, rights },
      ),
    );
}

/** Who may come in: standbys by the replication protocol, and to `postgres` for pg_rewind; the backup role from the nodes. */
export function wantedHbaRules(cluster: ClusterConfig, addresses: readonly PublicAddress[]): readonly HbaRule[] {
  const { replication, backupRole } = cluster;
  const own = addresses.flatMap(({ host }) => cidrOf(host));
  const from = [...new Set(replication.allowedFrom.length === 0 ? own : replication.allowedFrom)];
  return from.flatMap((address) => [
    { database: 'replication', user: replication.role, address },
    { database: 'postgres', user: replication.role, address },
    ...(backupRole === undefined
      ? []
      : [
          { database: 'postgres', user: backupRole.role, address },
          { database: 'replication', user: backupRole.role, address },
        ]),
  ]);
}

/** Of an address; names are left out, since they say nothing of the address that somebody comes from. */
function cidrOf(host: string): readonly string[] {
  if (host === 'localhost') return ['127.0.0.1/32', '::1/128'];
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return [`${host}/32`];
  return host.includes(':') ? [`${host}/128`] : [];
}

export function hbaSteps(node: string, hba: HbaFacts, rules: readonly HbaRule[]): readonly Step[] {
  if (withHbaRules(hba.text, rules) === hba.text) return [];
  const who = rules.map(({ database, user, address }) => `${user} from ${address} to ${database}`);
  return [
    setupStep(
      {
        id: `allow-connections ${node}`,
        title: `Let in by ${hba.file}: ${who.join('; ')}`,
        reason: 'standbys and backups connect by SCRAM; every other line stays as it is',
        probe: 'the file has these lines, and PostgreSQL finds no error in it',
      },
      { kind: 'allow-connections', node, file: hba.file, rules },
    ),
  ];
}

/** How a standby connects: a setting that holds no password. */
export function connectionSettings(
  cluster: ClusterConfig,
  node: string,
  primary: PublicAddress,
  passfile: string,
  slot: string,
): readonly WantedSetting[] {
  const { role, sslMode } = cluster.replication;
  const conninfo = primaryConninfo({ ...primary, user: role, passfile, sslMode, applicationName: node });
  return [
    { name: 'primary_conninfo', value: conninfo, rule: 'exactly', reason: 'it follows the primary; the password is in the passfile' },
    { name: 'primary_slot_name', value: slot, rule: 'exactly', reason: 'the primary keeps the WAL that it has not had yet' },
    { name: 'recovery_target_timeline', value: 'latest', rule: 'exactly', reason: 'it follows a new primary' },
  ];
}
