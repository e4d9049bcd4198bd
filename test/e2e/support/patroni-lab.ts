import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { composeCluster, type ComposedCluster } from '../../../src/composition.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import type { ClusterConfig } from '../../../src/config/model.ts';
import { runWhereItBelongs } from '../../../src/engine/on-hosts.ts';
import type { Plan } from '../../../src/plan/step.ts';
import { type Account, type CliError, ensureBuilt, type CliResult, spoke, spokeError, spokeJson } from '../../harness/cli.ts';
import { PATRONI_USER, PatroniCluster, type PatroniOptions, SUPERUSER_PASSWORD } from '../../harness/patroni.ts';
import type { Fronted } from './front.ts';
import type { Interruptible } from './kill.ts';

/** A cluster that Patroni manages, with a configuration of this program for it, and a repository of its own. */
export class PatroniLab implements Fronted, Interruptible {
  readonly cluster: PatroniCluster;
  readonly description: Interruptible['description'] & Fronted['description'];

  private constructor(cluster: PatroniCluster) {
    this.cluster = cluster;
    const path = (name: string) => join(cluster.directory, name);
    this.description = { config: path('spoke.yaml'), stateDirectory: path('state'), passwordFile: path('postgres-password') };
    configure(cluster, this.description);
  }

  static async start(options: PatroniOptions = {}): Promise<PatroniLab> {
    await ensureBuilt();
    const cluster = await PatroniCluster.start(join(tmpdir(), 'p'), options);
    return new PatroniLab(cluster);
  }

  get config(): string {
    return this.description.config;
  }

  get directory(): string {
    return this.cluster.directory;
  }

  get owner(): Account {
    return this.cluster.owner;
  }

  /** Of the servers' account. */
  async makeDirectory(name: string): Promise<string> {
    return makeDirectory(join(this.directory, name), this.owner);
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }

  json<T>(...argv: string[]): Promise<T> {
    return spokeJson<T>(argv, { config: this.config });
  }

  /** Whatever its exit code. */
  run(...argv: string[]): Promise<CliResult & { readonly document: unknown }> {
    return spoke(argv, { config: this.config });
  }

  error(...argv: string[]): Promise<CliError> {
    return spokeError(argv, { config: this.config });
  }

  /** The program's parts, as a command puts them together. */
  async compose(): Promise<ComposedCluster & { readonly config: ClusterConfig }> {
    const configuration = await loadConfiguration({ path: this.config, environment: process.env, flags: {} });
    const config = configuration.clusters.get('lab');
    if (config === undefined) throw new Error('the configuration has no cluster "lab"');
    return { config, ...(await composeCluster(configuration, config, new AbortController().signal, { askForPrimary: true })) };
  }

  /** Does what a plan says, as the engine would. */
  async carryOut({ steps }: Plan): Promise<ReadonlyMap<string, unknown>> {
    const { handlers } = await this.compose();
    const results = new Map<string, unknown>();
    for (const step of steps) {
      const context = { signal: new AbortController().signal, timeoutMs: step.timeoutMs };
      results.set(step.id, await runWhereItBelongs(step, handlers, context));
    }
    return results;
  }

  /** One statement as superuser. */
  sql<Row extends object>(node: string, statement: string): Promise<Row[]> {
    return this.cluster.sql(node, statement);
  }
}

function makeDirectory(path: string, { uid, gid }: Account): string {
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, uid, gid);
  return path;
}

function configure(cluster: PatroniCluster, { config, stateDirectory, passwordFile }: PatroniLab['description']): void {
  const path = (name: string) => join(cluster.directory, name);
  // The servers' account reads the configuration of pgBackRest below it.
  mkdirSync(stateDirectory);
  chmodSync(stateDirectory, 0o711);
  for (const name of ['repository', 'pgbackrest']) makeDirectory(path(name), cluster.owner);
  for (const [file, secret] of [
    [path('api-password'), PATRONI_USER.password],
    [passwordFile, SUPERUSER_PASSWORD],
    [path('replicator-password'), SUPERUSER_PASSWORD],
  ] as const)
    writeFileSync(file, secret, { mode: 0o600 });
  const nodes = cluster.nodes.map((node) => ({
    name: node.name,
    url: `postgresql://postgres:\${file:${passwordFile}}@127.0.0.1:${node.port}/postgres`,
    dataDirectory: node.dataDirectory,
    socketDirectory: cluster.socketDirectory(node),
    port: node.port,
  }));
  const lab = {
    postgresqlBinDirectory: cluster.binDirectory,
    pgbackrest: { lockPath: path('pgbackrest/lock'), spoolPath: path('pgbackrest/spool') },
    nodes,
    patroni: { urls: cluster.urls, user: PATRONI_USER.user, password: `\${file:${path('api-password')}}` },
    repositories: [{ name: 'local', kind: 'local', path: path('repository') }],
  };
  writeFileSync(config, stringify({ stateDirectory, clusters: { lab } }), { mode: 0o600 });
}
