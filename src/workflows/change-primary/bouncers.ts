import type { ClusterConfig, PgBouncerConfig } from '../../config/model.ts';
import type { BouncerDatabase } from '../../domain/pgbouncer/configuration.ts';
import type { Topology } from '../../domain/topology/topology.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { BouncerDatabaseState, BouncerObservation } from '../../ports/pgbouncer.ts';
import { instanceOf } from '../hosts.ts';
import { consoleOf } from '../setup-cluster/addresses.ts';
import { bouncerConfiguration, type PlacedNode } from '../setup-cluster/pgbouncer.ts';
import type { BouncerToChange, TextsAfter } from './facts.ts';

/** More than that is no configuration of ours. */
const MOST_BYTES = 4 * 1024 * 1024;

/** Each PgBouncer as it is; its files are looked at on its own host. */
export function observeBouncers(
  cluster: ClusterConfig,
  roles: { readonly to: string; readonly from?: string },
  topology: Topology,
  placed: TextsAfter<readonly PlacedNode[]>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<readonly BouncerToChange[]> {
  const affected = (bouncer: PgBouncerConfig) => databasesToPause(bouncer, roles.from, topology);
  return Promise.all(
    cluster.pgbouncer.map(async (bouncer) => {
      const { warnings, ...found } = await observeBouncer(bouncer, affected(bouncer), placed, ports, context);
      return { ...found, warnings: [...warnings, ...whoStays(bouncer, roles.to)] };
    }),
  );
}

/** A name means that very node, whatever it becomes: its sessions go on through the promotion, so nobody has to wait. */
function whoStays({ name, databases }: PgBouncerConfig, to: string): readonly string[] {
  return Object.entries(databases)
    .filter(([, place]) => place.to === to)
    .map(
      ([database]) =>
        `PgBouncer ${name}: database ${database} is for ${to} by its name: its clients stay there, on the primary from then on`,
    );
}

async function observeBouncer(
  bouncer: PgBouncerConfig,
  affected: readonly string[],
  placed: TextsAfter<readonly PlacedNode[]>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<BouncerToChange> {
  const { name, configFile, pauseTimeoutSeconds } = bouncer;
  const adminUrl = await ports.setup.secrets.bouncerAdminUrl(name);
  const { user: adminUser, port: listenPort } = consoleOf(adminUrl);
  const wantedFor = (nodes: readonly PlacedNode[]) => bouncerConfiguration({ bouncer, adminUser, listenPort }, nodes);
  const wanted = { without: wantedFor(placed.without), with: wantedFor(placed.with) };
  const asked = await askConsole(adminUrl, ports, context);
  const offered = 'found' in asked ? asked.found.databases : [];
  const databases = affected.filter((database) => offered.some((one) => one.name === database));
  const onDisk = await (await instanceOf(`pgbouncer:${name}`, ports, context)).readFileTail(configFile, MOST_BYTES);
  const written = [wanted.with, wanted.without].find(({ configuration }) => configuration === onDisk);
  const isUnread = 'found' in asked && written !== undefined && !hasRead(offered, written.databases);
  return {
    name,
    configFile,
    pauseTimeoutMs: pauseTimeoutSeconds * 1000,
    databases,
    paused: offered.filter(({ paused }) => paused).map((one) => one.name),
    present: isUnread ? '' : onDisk,
    isUnread,
    wanted: { without: wanted.without.configuration, with: wanted.with.configuration },
    warnings: wanted.with.warnings,
    ...('fault' in asked ? { unreachable: asked.fault } : {}),
  };
}

/** A file that was written right before its writer died has been read by nobody. */
function hasRead(offered: readonly BouncerDatabaseState[], wanted: readonly BouncerDatabase[]): boolean {
  return wanted.every(({ name, hosts, port }) =>
    offered.some((one) => one.name === name && one.host === hosts.join(',') && one.port === port),
  );
}

/** What goes to the primary, or to the node that is about to stop; what reads from standbys goes to the primary where there is none. */
function databasesToPause({ databases }: PgBouncerConfig, from: string | undefined, { standbys }: Topology): readonly string[] {
  return Object.entries(databases)
    .filter(([, { to }]) => to === 'primary' || to === from || (to === 'standbys' && standbys.length === 0))
    .map(([name]) => name);
}

async function askConsole(
  adminUrl: string,
  { setup }: ReadPorts,
  context: OperationContext,
): Promise<{ readonly found: BouncerObservation } | { readonly fault: string }> {
  try {
    return { found: await setup.bouncers.observe(adminUrl, context) };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'POSTGRES_UNAVAILABLE' && error.code !== 'TIMED_OUT') throw error;
    return { fault: error.message };
  }
}
