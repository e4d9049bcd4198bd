import type { ClusterConfig } from '../../config/model.ts';
import { passfileText } from '../../domain/setup/conninfo.ts';
import type { HbaRule } from '../../domain/postgres/hba.ts';
import { slotOf } from '../../domain/topology/slot-name.ts';
import { followedSettings, NOT_LOWER_ON_STANDBYS } from '../../domain/setup/withheld.ts';
import { SpokeError } from '../../errors.ts';
import type { SetupStep } from '../../plan/setup-steps.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { BackupEnginePreview } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { HbaFacts } from '../../ports/server-setup.ts';
import { type NodeObservation, observeNodes, onlyPrimary } from '../observe-cluster.ts';
import { configurationStep } from '../setup-archiving/plan.ts';
import { publicAddressOf } from './addresses.ts';
import {
  addressOfHere,
  type AnsweringNode,
  connectionSettings,
  hbaSteps,
  observeServerSettings,
  restartReasons,
  restartStep,
  type ServerSettings,
  settingSteps,
  wantedHbaRules,
} from './server.ts';
import { observeStandbyArchive, ownCommandWarning, type StandbyArchive } from './standby-archive.ts';
import { setupStep } from './step.ts';

const MOST_BYTES = 1024 * 1024;

type PassfileStep = Extract<SetupStep, { kind: 'write-passfile' }>;

export interface SetupReplicaFacts {
  readonly primary: string;
  readonly standby: AnsweringNode;
  readonly slot: string;
  readonly slotIsMissing: boolean;
  readonly settings: ServerSettings;
  readonly hba: HbaFacts;
  readonly hbaRules: readonly HbaRule[];
  readonly passfile: PassfileStep;
  readonly passfileIsCurrent: boolean;
  readonly archive: StandbyArchive;
}

/** Throws REFUSED_PRECONDITION where the node is no standby of this cluster, REFUSED_WRONG_CLUSTER where it is one of another. */
export async function observeSetupReplica(
  cluster: ClusterConfig,
  name: string,
  engine: BackupEnginePreview,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupReplicaFacts> {
  const nodes = await observeNodes(cluster, ports, context);
  const primary = onlyPrimary(nodes);
  if (primary === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers, or more than one does');
  const standby = standbyNamed(name, primary, nodes);
  const address = await addressOfHere(standby.node, ports);
  const addressOfPrimary = await ports.access.addressOf(primary.node.name);
  if (addressOfPrimary === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${primary.node.name} has no url`);
  const addresses = await Promise.all(cluster.nodes.map((node) => publicAddressOf(node, ports)));
  const passfile = await passfileOf(cluster, standby, ports);
  const slot = slotOf(name);
  const connection = connectionSettings(cluster, name, await publicAddressOf(primary.node, ports), passfile.path, slot);
  const ofPrimary = await ports.setup.servers.observeSettings(addressOfPrimary, NOT_LOWER_ON_STANDBYS, context);
  const archive = await observeStandbyArchive(cluster, primary.server, engine, ports, context);
  const further = [...connection, ...archive.settings, ...followedSettings(ofPrimary)];
  const { slots } = await ports.postgres.observeWal(addressOfPrimary, context);
  const password = await ports.setup.secrets.replicationPassword();
  const present = await ports.instance.readFileTail(passfile.path, MOST_BYTES);
  return {
    primary: primary.node.name,
    standby,
    slot,
    slotIsMissing: !slots.some((one) => one.name === slot),
    settings: await observeServerSettings(cluster, address, { further }, ports, context),
    hba: await ports.setup.servers.observeHba(address, context),
    hbaRules: wantedHbaRules(cluster, addresses),
    passfile,
    passfileIsCurrent: password === undefined || present === passfileText(passfile.servers, passfile.role, password),
    archive,
  };
}

function standbyNamed(name: string, primary: AnsweringNode, nodes: readonly NodeObservation[]): AnsweringNode {
  const found = nodes.find(({ node }) => node.name === name);
  if (found === undefined)
    throw new SpokeError('USAGE', `the configuration has no node "${name}"`, {
      hint: `Known are: ${nodes.map(({ node }) => node.name).join(', ')}`,
    });
  const { node, server, unreachable } = found;
  if (server === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `${name} does not answer (${unreachable ?? 'no server'})`, {
      hint: `Start it; where it has no data yet: spoke-backup reseed ${name}`,
    });
  if (!server.inRecovery)
    throw new SpokeError('REFUSED_PRECONDITION', `${name} is a primary, not a standby: it is left alone`, {
      hint: 'See: spoke-backup status',
    });
  if (server.systemIdentifier !== primary.server.systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${name} is of another cluster (system identifier ${server.systemIdentifier})`);
  return { ...found, node, server };
}

/** Beside the data directory: so no backup has it. */
async function passfileOf(cluster: ClusterConfig, { node, server }: AnsweringNode, ports: ReadPorts): Promise<PassfileStep> {
  const dataDirectory = node.dataDirectory ?? server.dataDirectory;
  if (dataDirectory === undefined)
    throw new SpokeError('CONFIG_INVALID', `the data directory of ${node.name} is not known`, { hint: 'Add dataDirectory to that node.' });
  const others = cluster.nodes.filter(({ name }) => name !== node.name);
  const servers = await Promise.all(others.map((other) => publicAddressOf(other, ports)));
  const path = `${dataDirectory}.pgpass`;
  return { kind: 'write-passfile', node: node.name, path, dataDirectory, role: cluster.replication.role, servers };
}

/** What it needs to connect before what makes it connect; a restart only where PostgreSQL needs one; at the end it streams. Pure. */
export function planSetupReplica(facts: SetupReplicaFacts, restartAllowed: boolean): Plan {
  const { primary, standby, slot, settings, hba, hbaRules, archive } = facts;
  const node = standby.node.name;
  const reasons = restartReasons(settings);
  return {
    steps: [
      ...(facts.slotIsMissing ? [slotStep(primary, slot)] : []),
      ...(facts.passfileIsCurrent ? [] : [passfileStep(facts.passfile)]),
      ...hbaSteps(node, hba, hbaRules),
      ...(archive.configurationIsCurrent ? [] : [configurationStep(node)]),
      ...settingSteps(node, 'standby', settings),
      ...(reasons.length === 0 ? [] : [restartStep(standby, reasons)]),
      checkStep(node, primary, slot),
    ],
    warnings: [
      ...(reasons.length === 0 || restartAllowed ? [] : [`${node} must be restarted for ${reasons.join(', ')}`]),
      ...settings.withheld.map(({ why }) => why),
      ...archive.warnings,
      ...ownCommandWarning(archive, settings.present),
    ],
  };
}

function slotStep(primary: string, slot: string): Step {
  return setupStep(
    {
      id: 'ensure-slots',
      title: `Make the replication slot ${slot} on ${primary}`,
      reason: 'the primary keeps what the standby has not had yet',
      probe: 'pg_replication_slots has it',
    },
    { kind: 'ensure-slots', node: primary, slots: [slot] },
  );
}

function passfileStep(step: PassfileStep): Step {
  const words = {
    id: 'write-passfile',
    title: `Write the password of ${step.role} into ${step.path} (0600)`,
    reason: 'the standby reads it there, so no setting and no command line holds it',
    probe: 'the file has this content',
  };
  return setupStep(words, step);
}

function checkStep(node: string, primary: string, slot: string): Step {
  return setupStep(
    {
      id: 'check-streaming',
      effect: 'read',
      title: `See that ${node} streams from ${primary} by ${slot}`,
      reason: 'that it follows is seen, not assumed',
      probe: 'the slot is active',
      timeoutMs: 2 * 60_000,
    },
    { kind: 'check-streaming', node, primary, slot },
  );
}
