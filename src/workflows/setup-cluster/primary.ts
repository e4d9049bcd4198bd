import type { ClusterConfig } from '../../config/model.ts';
import { type Dependents, NOT_LOWER_ON_STANDBYS } from '../../domain/setup/withheld.ts';
import { SpokeError } from '../../errors.ts';
import type { HbaRule } from '../../domain/postgres/hba.ts';
import { slotOf } from '../../domain/topology/slot-name.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { BackupEnginePreview } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { HbaFacts } from '../../ports/server-setup.ts';
import { type NodeObservation, onlyPrimary } from '../observe-cluster.ts';
import { observeSetupArchiving, planSetupArchiving, type SetupArchivingFacts } from '../setup-archiving/plan.ts';
import { publicAddressOf } from './addresses.ts';
import {
  addressOfHere,
  type AnsweringNode,
  hbaSteps,
  observeRoles,
  observeServerSettings,
  restartReasons,
  restartStep,
  roleSteps,
  type ServerSettings,
  settingSteps,
  wantedHbaRules,
  type WantedRole,
} from './server.ts';
import { setupStep } from './step.ts';

export interface SetupPrimaryFacts {
  readonly primary: AnsweringNode;
  readonly settings: ServerSettings;
  readonly roles: readonly WantedRole[];
  readonly hba: HbaFacts;
  readonly hbaRules: readonly HbaRule[];
  /** Slots of standbys that are not there. */
  readonly missingSlots: readonly string[];
  readonly archiving: SetupArchivingFacts;
}

export async function observeSetupPrimary(
  cluster: ClusterConfig,
  engine: BackupEnginePreview,
  configurationIsCurrent: boolean,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupPrimaryFacts> {
  const archiving = await observeSetupArchiving(cluster, engine, configurationIsCurrent, ports, context);
  const primary = onlyPrimary(archiving.nodes);
  if (primary === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers, or more than one does');
  const address = await addressOfHere(primary.node, ports);
  const addresses = await Promise.all(cluster.nodes.map((node) => publicAddressOf(node, ports)));
  const standbys = await settingsOfStandbys(archiving.nodes, primary, ports, context);
  const { slots } = await ports.postgres.observeWal(address, context);
  const wanted = cluster.nodes.filter(({ name }) => name !== primary.node.name).map(({ name }) => slotOf(name));
  return {
    primary,
    settings: await observeServerSettings(cluster, address, { standbys }, ports, context),
    roles: await observeRoles(cluster, primary, address, ports, context),
    hba: await ports.setup.servers.observeHba(address, context),
    hbaRules: wantedHbaRules(cluster, addresses),
    missingSlots: wanted.filter((name) => !slots.some((slot) => slot.name === name)),
    archiving,
  };
}

/** Of the standbys that answer. One that is down cannot be asked; `setup replica`, once it runs, raises what is too low there. */
async function settingsOfStandbys(
  nodes: readonly NodeObservation[],
  { server: { systemIdentifier } }: AnsweringNode,
  { access, setup }: ReadPorts,
  context: OperationContext,
): Promise<Dependents['standbys']> {
  const standbys = nodes.filter(({ server }) => server?.inRecovery === true && server.systemIdentifier === systemIdentifier);
  return Promise.all(
    standbys.map(async ({ node: { name } }) => {
      const address = await access.addressOf(name);
      if (address === undefined) return { node: name, settings: [] };
      return { node: name, settings: await setup.servers.observeSettings(address, NOT_LOWER_ON_STANDBYS, context) };
    }),
  );
}

/** Who may come first, then the settings, one restart where PostgreSQL needs it, slots, and at the end the proof that it archives. Pure. */
export function planSetupPrimary(facts: SetupPrimaryFacts, restartAllowed: boolean): Plan {
  const { primary, settings, roles, hba, hbaRules, missingSlots } = facts;
  const node = primary.node.name;
  const archiving = planSetupArchiving({ cluster: '', restartAllowed }, facts.archiving);
  const restartOfArchiving = archiving.steps.some(({ kind }) => kind === 'restart-server');
  const reasons = [...restartReasons(settings), ...(restartOfArchiving ? ['archive_mode'] : [])];
  return {
    steps: [
      ...roleSteps(node, roles),
      ...hbaSteps(node, hba, hbaRules),
      ...settingSteps(node, 'primary', settings),
      ...archiving.steps.filter(({ kind }) => kind !== 'restart-server' && kind !== 'check-archiving'),
      ...(reasons.length === 0 ? [] : [restartStep(primary, reasons)]),
      ...(missingSlots.length === 0 ? [] : [slotsStep(node, missingSlots)]),
      ...archiving.steps.filter(({ kind }) => kind === 'check-archiving'),
    ],
    warnings: [
      ...(reasons.length === 0 || restartAllowed ? [] : [`${node} must be restarted for ${reasons.join(', ')}`]),
      ...hba.errors.map((error) => `${hba.file} has an error already, ${error}: PostgreSQL keeps to the rules of before`),
      ...(hbaRules.length === 0 ? ['no address is known that standbys connect from: say it with replication: allowedFrom'] : []),
      ...settings.withheld.map(({ why }) => why),
    ],
  };
}

function slotsStep(node: string, slots: readonly string[]): Step {
  return setupStep(
    {
      id: 'ensure-slots',
      title: `Make the replication slots ${slots.join(', ')} on ${node}`,
      reason: 'the primary keeps what a standby has not had yet',
      probe: 'pg_replication_slots has them',
    },
    { kind: 'ensure-slots', node, slots },
  );
}
