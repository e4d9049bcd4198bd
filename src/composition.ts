import { createSystemClock } from './adapters/clock/clock.ts';
import { createInstanceControl } from './adapters/instance/control.ts';
import { createInstanceReader } from './adapters/instance/reader.ts';
import { createStandbySeeding } from './adapters/instance/standby-seeding.ts';
import { createServiceControl } from './adapters/instance/service-control.ts';
import { createEndpoints } from './adapters/endpoints/endpoints.ts';
import { createFenceControl } from './adapters/fence/fence.ts';
import { createMachineReader } from './adapters/machine/machine.ts';
import { createPgBouncerConsole } from './adapters/postgres/pgbouncer-console.ts';
import { createPostgresReader } from './adapters/postgres/reader.ts';
import { createPasswordVerifiers } from './adapters/postgres/scram.ts';
import { createServerSetupReader, createServerSetupWriter } from './adapters/postgres/server-setup.ts';
import { createPostgresWriter } from './adapters/postgres/writer.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import { createPinStore } from './adapters/state/pin-store.ts';
import { newRunId } from './adapters/state/run-id.ts';
import { createRunProcesses } from './adapters/state/run-processes.ts';
import { createRunStore } from './adapters/state/run-store.ts';
import { createSecrets } from './composition-secrets.ts';
import { composeEngines } from './composition-engines.ts';
import { composeHosts } from './composition-hosts.ts';
import { patroniPorts } from './composition-patroni.ts';
import { leaseStores } from './composition-leases.ts';
import { bucketsOf } from './composition-stores.ts';
import { composeStreaming, type Streaming } from './composition-streaming.ts';
import type { ClusterConfig, Configuration, NodeConfig } from './config/model.ts';
import { resolveNodeUrl, type SecretContext } from './config/resolve-secret.ts';
import { createStepHandlers } from './engine/handlers/index.ts';
import { NO_OTHER_HOSTS, withHosts } from './engine/on-hosts.ts';
import type { StepHandlers } from './engine/step-handler.ts';
import type { ClusterAccess, ReadPorts, SetupReadPorts, SetupWritePorts, WritePorts } from './ports/bundle.ts';
import type { FileOwner } from './ports/instance.ts';
import type { PostgresReader } from './ports/postgres-server.ts';
import type { ProcessRunner } from './ports/process-runner.ts';
import type { RunId, RunVerb } from './ports/run-store.ts';

export { createProcessRunner, createSystemClock };

/** Everything that works on one cluster, put together. */
export interface ComposedCluster {
  readonly ports: ReadPorts & WritePorts;
  readonly handlers: StepHandlers;
  /** The receiver of its WAL, and where that goes. */
  readonly streaming: Streaming;
  newRunId(verb: RunVerb): RunId;
}

/** How a cluster is put together. */
export interface ComposeOptions {
  readonly askForPrimary: boolean;
  /** Everything is done here, whatever the configuration says of ssh: this is the host of that node (null: of something else). */
  readonly here?: string | null;
}

/** Builds the adapters of one cluster. Reads secrets and, where asked to, finds out who is primary; changes nothing. */
export async function composeCluster(
  configuration: Configuration,
  cluster: ClusterConfig,
  signal: AbortSignal,
  { askForPrimary, here }: ComposeOptions,
): Promise<ComposedCluster> {
  const runner = createProcessRunner();
  const clock = createSystemClock();
  const secrets: SecretContext = { environment: process.env, processes: runner, signal };
  const postgres = createPostgresReader();
  const instance = createInstanceReader({
    runner,
    ...(cluster.postgresqlBinDirectory === undefined ? {} : { binDirectory: cluster.postgresqlBinDirectory }),
  });
  const postgresWriter = createPostgresWriter();
  const access = clusterAccess(cluster, secrets);
  const own = cluster.nodes.find(({ name }) => name === here);
  const primary = own ?? (askForPrimary ? await primaryNode(cluster, access, postgres, signal) : firstNode(cluster));
  const otherHosts = here === undefined ? await composeHosts(cluster, runner) : NO_OTHER_HOSTS;
  const user = await ownerOf(cluster, own === undefined && primary?.ssh !== undefined ? undefined : primary, instance);
  const { reader, engine } = await composeEngines({
    ...{ configuration, cluster, primary, user, secrets },
    ...{ runner, clock, access, instance, postgres, postgresWriter },
  });
  const runs = createRunStore(configuration.stateDirectory);
  const pins = createPinStore(configuration.stateDirectory);
  const buckets = bucketsOf(cluster, secrets);
  const streaming = composeStreaming({ configuration, cluster, instance, user, secrets });
  const ports = {
    catalog: reader,
    postgres,
    instance,
    ...otherHosts,
    access,
    runs,
    pins,
    buckets,
    tails: streaming.tails,
    clock,
    engine,
    postgresWriter,
    instanceControl: createInstanceControl({ runner }),
    services: createServiceControl({ runner }),
    seeding: createStandbySeeding({ runner }),
    fencing: createFenceControl({ runner }),
    runWriter: runs,
    leases: await leaseStores(configuration, cluster, clock, secrets),
    runProcesses: createRunProcesses(configuration.stateDirectory),
    pinWriter: pins,
    bucketWriters: buckets,
    tailStager: streaming.tailStager,
    ...setupPorts(cluster, secrets, runner),
    ...patroniPorts(cluster, secrets, clock),
  };
  return {
    ports,
    streaming,
    handlers: withHosts(createStepHandlers(ports), otherHosts),
    newRunId: (verb) =>
      newRunId(
        verb,
        clock.now(),
        Math.floor(Math.random() * 36 ** 6)
          .toString(36)
          .padStart(6, '0'),
      ),
  };
}

function setupPorts(
  cluster: ClusterConfig,
  secrets: SecretContext,
  runner: ProcessRunner,
): { readonly setup: SetupReadPorts; readonly setupWriter: SetupWritePorts } {
  const bouncers = createPgBouncerConsole();
  const endpoints = createEndpoints({ runner });
  return {
    setup: {
      servers: createServerSetupReader(),
      machine: createMachineReader(),
      secrets: createSecrets(cluster, secrets),
      verifiers: createPasswordVerifiers(),
      bouncers,
      endpoints,
    },
    setupWriter: { servers: createServerSetupWriter(), bouncers, endpoints },
  };
}

function clusterAccess(cluster: ClusterConfig, secrets: SecretContext): ClusterAccess {
  return {
    async addressOf(name) {
      const node = cluster.nodes.find((one) => one.name === name);
      const url = node === undefined ? undefined : await resolveNodeUrl(node, secrets);
      return url === undefined ? undefined : { kind: 'url', url };
    },
  };
}

/**
 * The engine's configuration names one data directory: that of whoever is primary now, else of the first node that has one. A
 * node that is alone need not be asked: nobody else can be it.
 */
async function primaryNode(
  cluster: ClusterConfig,
  access: ClusterAccess,
  postgres: PostgresReader,
  signal: AbortSignal,
): Promise<NodeConfig | undefined> {
  if (cluster.nodes.length === 1) return cluster.nodes[0];
  const answers = await Promise.all(
    cluster.nodes.map(async (node) => {
      try {
        const address = await access.addressOf(node.name);
        return address !== undefined && !(await postgres.observeRecovery(address, { signal })).inRecovery;
      } catch {
        return false;
      }
    }),
  );
  return cluster.nodes.find((_node, index) => answers[index]) ?? firstNode(cluster);
}

function firstNode(cluster: ClusterConfig): NodeConfig | undefined {
  return cluster.nodes.find((node) => node.dataDirectory !== undefined);
}

async function ownerOf(
  cluster: ClusterConfig,
  primary: NodeConfig | undefined,
  instance: ReadPorts['instance'],
): Promise<FileOwner | undefined> {
  if (instance.currentUser().uid !== 0) return undefined;
  const named = cluster.osUser === undefined ? undefined : await instance.findUser(cluster.osUser);
  if (named !== undefined) return named;
  const owner =
    (primary?.dataDirectory === undefined ? undefined : await instance.ownerOf(primary.dataDirectory)) ??
    (await instance.findUser('postgres'));
  return owner?.uid === 0 ? undefined : owner;
}

/** What the lab needs to know of this machine. */
export function labInstances(): ReadPorts['instance'] {
  return createInstanceReader({ runner: createProcessRunner() });
}
