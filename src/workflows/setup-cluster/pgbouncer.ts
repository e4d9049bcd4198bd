import type { ClusterConfig, PgBouncerConfig } from '../../config/model.ts';
import { type BouncerDatabase, bouncerConfigurationText } from '../../domain/pgbouncer/configuration.ts';
import { parseUserList, userListText } from '../../domain/pgbouncer/user-list.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';
import { type NodeObservation, observeServers, onlyPrimary } from '../observe-cluster.ts';
import { consoleOf, type PublicAddress, publicAddressOf } from './addresses.ts';
import { setupStep } from './step.ts';

/** More than that is no configuration of ours. */
const MOST_BYTES = 4 * 1024 * 1024;

/** A server, what it is just now, and where others reach it. */
export interface PlacedNode {
  readonly name: string;
  readonly role: 'primary' | 'standby' | 'unknown';
  readonly address: PublicAddress;
}

/** A PgBouncer as it is, and what its files are to say. */
export interface BouncerFacts {
  readonly bouncer: PgBouncerConfig;
  readonly adminUser: string;
  readonly listenPort: number;
  /** Of its configuration on disk; empty where there is none. */
  readonly configuration: string;
  readonly userListIsCurrent: boolean;
  /** Why its console cannot be asked. */
  readonly unreachable?: string;
}

export interface SetupPgBouncerFacts {
  readonly nodes: readonly PlacedNode[];
  readonly bouncers: readonly BouncerFacts[];
}

export async function observeSetupPgBouncer(
  cluster: ClusterConfig,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SetupPgBouncerFacts> {
  if (cluster.pgbouncer.length === 0)
    throw new SpokeError('REFUSED_PRECONDITION', `the configuration of ${cluster.name} names no PgBouncer`, {
      hint: 'Add one to the configuration: pgbouncer: (docs/setup.md)',
    });
  const observed = await observeServers(cluster, ports, context);
  const primary = onlyPrimary(observed);
  if (primary === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers, or more than one does');
  const address = await ports.access.addressOf(primary.node.name);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${primary.node.name} has no url in the configuration`);
  return {
    nodes: await placedNodes(observed, ports),
    bouncers: await Promise.all(cluster.pgbouncer.map((bouncer) => observeBouncer(bouncer, address, ports, context))),
  };
}

/** Nodes of another cluster (by system identifier) are left out: nobody shall be sent there. */
export async function placedNodes(observed: readonly NodeObservation[], ports: ReadPorts): Promise<readonly PlacedNode[]> {
  const systemIdentifier = onlyPrimary(observed)?.server.systemIdentifier;
  const own = observed.filter(({ server }) => server === undefined || server.systemIdentifier === systemIdentifier);
  return Promise.all(
    own.map(async ({ node, server }) => ({
      name: node.name,
      role: server === undefined ? ('unknown' as const) : server.inRecovery ? ('standby' as const) : ('primary' as const),
      address: await publicAddressOf(node, ports),
    })),
  );
}

async function observeBouncer(
  bouncer: PgBouncerConfig,
  primary: ServerAddress,
  ports: ReadPorts,
  context: OperationContext,
): Promise<BouncerFacts> {
  if (bouncer.ssh !== undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `PgBouncer ${bouncer.name} is on another host`, {
      hint: `Run it there: spoke-backup setup pgbouncer`,
    });
  const adminUrl = await ports.setup.secrets.bouncerAdminUrl(bouncer.name);
  const { user, port } = consoleOf(adminUrl);
  const present = await ports.instance.readFileTail(bouncer.userListFile, MOST_BYTES);
  const wanted = await wantedUserList({ ...bouncer, adminUser: user }, primary, ports, context);
  const unreachable = await reasonWhyUnreachable(adminUrl, ports, context);
  return {
    bouncer,
    adminUser: user,
    listenPort: port,
    configuration: await ports.instance.readFileTail(bouncer.configFile, MOST_BYTES),
    userListIsCurrent: wanted === present,
    ...(unreachable === undefined ? {} : { unreachable }),
  };
}

async function reasonWhyUnreachable(adminUrl: string, ports: ReadPorts, context: OperationContext): Promise<string | undefined> {
  try {
    await ports.setup.bouncers.observe(adminUrl, context);
    return undefined;
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'POSTGRES_UNAVAILABLE') throw error;
    return error.message;
  }
}

/**
 * What the user list is to say: the verifiers of the server, and for the administrator, where he is no role of the server, one of his
 * password: that which is there, where it fits. Throws REFUSED_PRECONDITION for a role that has no SCRAM verifier.
 */
export async function wantedUserList(
  bouncer: Pick<PgBouncerConfig, 'name' | 'users' | 'userListFile'> & { readonly adminUser: string },
  primary: ServerAddress,
  ports: ReadPorts,
  context: OperationContext,
): Promise<string> {
  const { users, adminUser } = bouncer;
  const asked = users.length === 0 ? [] : [...new Set([...users, adminUser])];
  const found = await ports.setup.servers.readVerifiers(primary, asked, context);
  const missing = users.filter((user) => !found.has(user));
  if (missing.length > 0)
    throw new SpokeError(
      'REFUSED_PRECONDITION',
      `the server has no SCRAM password for ${missing.join(', ')}, so PgBouncer cannot let them in`,
      {
        hint: 'With password_encryption = scram-sha-256, set their passwords again: psql -c "\\password NAME"',
      },
    );
  const own = found.has(adminUser) ? [] : await administrator(bouncer, ports);
  return userListText([...[...found].map(([user, verifier]) => ({ user, verifier })), ...own]);
}

async function administrator(bouncer: { readonly name: string; readonly userListFile: string }, { setup, instance }: ReadPorts) {
  const { user, password } = consoleOf(await setup.secrets.bouncerAdminUrl(bouncer.name));
  if (user === '' || password === '')
    throw new SpokeError(
      'CONFIG_INVALID',
      `the adminUrl of PgBouncer ${bouncer.name} names no user and password, and the server has no such role`,
    );
  const present = parseUserList(await instance.readFileTail(bouncer.userListFile, MOST_BYTES)).get(user);
  const fits = present !== undefined && (await setup.verifiers.matches(present, password));
  return [{ user, verifier: fits ? present : await setup.verifiers.create(password) }];
}

/** Files first, then a reload, and at the end a look through the console. Pure. */
export function planSetupPgBouncer({ nodes, bouncers }: SetupPgBouncerFacts): Plan {
  const plans = bouncers.map((facts) => planBouncer(facts, nodes));
  return { steps: plans.flatMap(({ steps }) => steps), warnings: plans.flatMap(({ warnings }) => warnings) };
}

/** What its configuration says where the nodes have these roles, and what is to be said of that. Pure. */
export function bouncerConfiguration(
  { bouncer, adminUser, listenPort }: Pick<BouncerFacts, 'bouncer' | 'adminUser' | 'listenPort'>,
  nodes: readonly PlacedNode[],
): { readonly configuration: string; readonly databases: readonly BouncerDatabase[]; readonly warnings: readonly string[] } {
  const placed = Object.entries(bouncer.databases).map(([name, place]) => placeDatabase(name, place, nodes));
  const databases = placed.map(({ database }) => database);
  const configuration = bouncerConfigurationText({
    databases,
    listenPort,
    userListFile: bouncer.userListFile,
    adminUsers: [adminUser],
    settings: bouncer.settings,
  });
  return {
    configuration,
    databases,
    warnings: placed.flatMap(({ warning }) => (warning === undefined ? [] : [`PgBouncer ${bouncer.name}: ${warning}`])),
  };
}

function planBouncer(facts: BouncerFacts, nodes: readonly PlacedNode[]): Plan {
  const { bouncer, unreachable } = facts;
  const { configuration, warnings: placing } = bouncerConfiguration(facts, nodes);
  const isCurrent = configuration === facts.configuration && facts.userListIsCurrent;
  const warnings = [...placing];
  if (unreachable !== undefined)
    warnings.push(`PgBouncer ${bouncer.name} does not answer, so it has to be started (systemctl start pgbouncer): ${unreachable}`);
  const changed = isCurrent ? [] : [writeStep(facts, configuration, nodes)];
  const told = unreachable !== undefined ? [] : [...(isCurrent ? [] : [reloadStep(bouncer)]), checkStep(bouncer)];
  return { steps: [...changed, ...told], warnings };
}

/** `standbys` without a standby is the primary: who only reads can go on. */
function placeDatabase(
  name: string,
  { to, database = name }: PgBouncerConfig['databases'][string],
  nodes: readonly PlacedNode[],
): { readonly database: BouncerDatabase; readonly warning?: string } {
  const primary = nodes.filter(({ role }) => role === 'primary');
  const standbys = nodes.filter(({ role }) => role === 'standby');
  const named = nodes.filter((node) => node.name === to);
  const wanted = to === 'primary' ? primary : to === 'standbys' ? standbys : named;
  const chosen = wanted.length === 0 ? primary : wanted;
  const port = chosen[0]?.address.port ?? 5432;
  const samePort = chosen.filter(({ address }) => address.port === port);
  const warning = reasonToWarn(name, to, wanted, samePort);
  return {
    database: { name, hosts: samePort.map(({ address }) => address.host), port, database },
    ...(warning === undefined ? {} : { warning }),
  };
}

function reasonToWarn(name: string, to: string, wanted: readonly PlacedNode[], used: readonly PlacedNode[]): string | undefined {
  if (wanted.length === 0) return `database ${name} is for ${to}, and there is none that counts: it goes to the primary`;
  if (used.length === wanted.length) return undefined;
  return `database ${name} goes to ${used.map((node) => node.name).join(', ')} alone: PgBouncer takes several hosts with one port only`;
}

function writeStep({ bouncer, adminUser }: BouncerFacts, configuration: string, nodes: readonly PlacedNode[]): Step {
  const { name, configFile, userListFile, users } = bouncer;
  return setupStep(
    {
      id: `write-pgbouncer ${name}`,
      title: `Write ${configFile} (0640) and ${userListFile} (0600) of PgBouncer ${name}`,
      reason: `its databases are ${Object.entries(bouncer.databases)
        .map(([database, { to }]) => `${database} (${to})`)
        .join(', ')}; roles come in by the verifiers of the server`,
      probe: 'both files have this content',
    },
    {
      kind: 'write-pgbouncer',
      bouncer: name,
      primary: nodes.find(({ role }) => role === 'primary')?.name ?? '',
      ...{ configFile, configuration, userListFile, users, adminUser },
    },
  );
}

function reloadStep({ name }: PgBouncerConfig): Step {
  return setupStep(
    {
      id: `reload-pgbouncer ${name}`,
      title: `Have PgBouncer ${name} read its files again`,
      reason: 'they take effect',
      probe: 'SHOW DATABASES',
    },
    { kind: 'reload-pgbouncer', bouncer: name },
  );
}

function checkStep({ name, databases }: PgBouncerConfig): Step {
  return setupStep(
    {
      id: `check-pgbouncer ${name}`,
      effect: 'read',
      title: `Look at the databases and pools of PgBouncer ${name}`,
      reason: 'that it has taken its configuration is seen, not assumed',
      probe: 'SHOW DATABASES, SHOW POOLS',
    },
    { kind: 'check-pgbouncer', bouncer: name, databases: Object.keys(databases) },
  );
}
