import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DockerComposeEnvironment, getContainerRuntimeClient, type StartedDockerComposeEnvironment } from 'testcontainers';

const ROOT = join(import.meta.dirname, '../../..');
export type Service = 'node-1' | 'node-2' | 'node-3' | 'pgbouncer' | 'spoke-backup';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What spoke-backup said when it did not do something. */
export interface Refusal {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

const CONFIGURATION = '/etc/spoke-backup/config.yaml';
const DATA_DIRECTORY = '/var/lib/postgresql/17/main';
/** Where a fencing command says whom it wants fenced, and learns that it is done. */
const FENCES = '/var/lib/spoke-backup/fences';
const POLL_MS = 100;
const MOST_PAUSES = 20;

/** The cluster of docker-compose.yml, under a name of its own. Its hosts can be cut off, frozen and killed. */
export class ComposeCluster {
  readonly #environment: StartedDockerComposeEnvironment;
  readonly #project: string;

  private constructor(environment: StartedDockerComposeEnvironment, project: string) {
    this.#environment = environment;
    this.#project = project;
  }

  /** Every service is healthy when this resolves. The S3 server is the one that COMPOSE_PROFILES selects; Ceph by default. */
  static async up(): Promise<ComposeCluster> {
    const project = `spoke-test-${randomBytes(4).toString('hex')}`;
    const environment = await new DockerComposeEnvironment(ROOT, 'docker-compose.yml')
      .withProjectName(project)
      .withProfiles(process.env['COMPOSE_PROFILES'] ?? 'ceph')
      .withEnvironment({ ...process.env, PGBOUNCER_PORT: '0' })
      .withClientOptions({ commandOptions: ['--wait', '--wait-timeout', '120'] })
      // That is for an image of testcontainers' own, which cannot be had everywhere.
      .withAutoCleanup(false)
      .up();
    return new ComposeCluster(environment, project);
  }

  /** Nothing of it stays: containers, network, volumes. */
  async down(): Promise<void> {
    await this.#environment.down({ removeVolumes: true, timeout: 5_000 });
  }

  /** Runs it in the container, by its own user. */
  async run(service: Service, ...argv: string[]): Promise<Ran> {
    return this.#container(service).exec(argv);
  }

  /** The rows that a query has on a node, as psql prints them unaligned. Throws what psql says where it fails. */
  async query(node: Service, sql: string): Promise<string> {
    const ran = await this.run(node, 'psql', '-X', '-q', '-A', '-t', '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-c', sql);
    if (ran.exitCode !== 0) throw new Error(`${node}: ${ran.stderr}`);
    return ran.stdout.trim();
  }

  /** spoke-backup as its users type it, in its container, with --json. Throws what it says where it fails. */
  async spoke<T>(...argv: string[]): Promise<T> {
    const ran = await this.run('spoke-backup', 'spoke-backup', ...argv, '--json');
    if (ran.exitCode !== 0) throw new Error(`spoke-backup ${argv.join(' ')}: ${ran.exitCode}\n${ran.stdout}\n${ran.stderr}`);
    return JSON.parse(ran.stdout) as T;
  }

  /** What it says, and its exit code, where it refuses or fails. */
  async refusal(...argv: string[]): Promise<Refusal> {
    const ran = await this.run('spoke-backup', 'spoke-backup', ...argv, '--json');
    const { error } = JSON.parse(ran.stdout) as { error?: Refusal };
    if (ran.exitCode === 0 || error === undefined) throw new Error(`spoke-backup ${argv.join(' ')} did it:\n${ran.stdout}`);
    return { ...error, exitCode: ran.exitCode };
  }

  /** Whether a statement is done on a node for a client that comes from another host. */
  async isDone(node: Service, sql: string): Promise<boolean> {
    const environment = ['env', 'PGPASSFILE=/run/secrets/cluster/pgpass', 'PGCONNECT_TIMEOUT=5'];
    const ran = await this.run('spoke-backup', ...environment, 'psql', '-X', '-q', '-w', '-U', 'postgres', '-h', node, '-c', sql);
    return ran.exitCode === 0;
  }

  /** For a client on this machine: the database of whoever is the primary. */
  async urlThroughPgBouncer(): Promise<string> {
    const password = (await this.run('spoke-backup', 'cat', '/run/secrets/cluster/superuser')).stdout.trim();
    const container = this.#container('pgbouncer');
    return `postgresql://postgres:${password}@${container.getHost()}:${container.getMappedPort(6432)}/postgres`;
  }

  /** Writes a configuration in which a failover fences by `command`, and says where. */
  async fencingBy(...command: string[]): Promise<string> {
    const path = `/var/lib/spoke-backup/fencing-${randomBytes(2).toString('hex')}.yaml`;
    await this.#shell(
      'spoke-backup',
      `{ cat ${CONFIGURATION}; printf '    failover: { fenceCommand: %s }\\n' "$0"; } >${path}`,
      JSON.stringify(command),
    );
    return path;
  }

  /** A command that has whoever is at the console of a host fence it, which `fence` does. */
  static readonly askConsole = [
    'sh',
    '-c',
    `mkdir -p ${FENCES}; : >${FENCES}/$0; until [ -e ${FENCES}/$0.done ]; do sleep 0.1; done`,
    '{node}',
  ];

  /**
   * Once that is asked for: by the console of the host, which is not on the network, its server is stopped at once, and is a standby for whoever
   * starts it.
   */
  async fence(node: Service): Promise<void> {
    while ((await this.run('spoke-backup', 'test', '-e', `${FENCES}/${node}`)).exitCode !== 0) await delay(POLL_MS);
    await this.#shell(node, `touch ${DATA_DIRECTORY}/standby.signal && pg_ctl --pgdata=${DATA_DIRECTORY} --mode=immediate stop`);
    await this.#shell('spoke-backup', `: >${FENCES}/${node}.done`);
  }

  /** Starts the server of a host as a service manager would. */
  async startServer(node: Service): Promise<void> {
    await this.#shell(node, `pg_ctl --pgdata=${DATA_DIRECTORY} --wait --log=/var/lib/postgresql/17/server.log start`);
  }

  async #shell(service: Service, script: string, ...argv: string[]): Promise<void> {
    const ran = await this.run(service, 'sh', '-c', script, ...argv);
    if (ran.exitCode !== 0) throw new Error(`${service}: ${script}: ${ran.stderr}`);
  }

  /**
   * Unplugs a host: it runs on, and nobody reaches it. Connections stay open and nothing comes. Where spoke-backup is typed its name leads to where
   * nobody listens: neither Docker's search for a name nor ARP's for an address is waited for with each look.
   */
  async disconnect(service: Service): Promise<void> {
    await (await this.#network()).disconnect({ Container: this.#container(service).getId(), Force: true });
    await this.#editHosts(`echo '127.0.0.9 ${service}' >>/etc/hosts`);
  }

  /** Plugs it in again, under its name; its address may be another. */
  async reconnect(service: Service): Promise<void> {
    const Container = this.#container(service).getId();
    await (await this.#network()).connect({ Container, EndpointConfig: { Aliases: [service] } });
    await this.#editHosts(`grep -vw ${service} /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts`);
  }

  async #network() {
    return (await getContainerRuntimeClient()).container.dockerode.getNetwork(`${this.#project}_default`);
  }

  async #editHosts(script: string): Promise<void> {
    const ran = await this.#container('spoke-backup').exec(['sh', '-c', script], { user: 'root' });
    if (ran.exitCode !== 0) throw new Error(`/etc/hosts: ${ran.stderr}`);
  }

  /** Freezes a host: its connections stay open and nothing answers. */
  async pause(service: Service): Promise<void> {
    const docker = await this.#docker(service);
    for (let tries = 1; !(await docker.inspect()).State.Paused; tries += 1) {
      // On a busy machine the kernel gives up while processes are being started in there, and lets them go on.
      await docker.pause().catch((thrown: unknown) => {
        if (tries >= MOST_PAUSES || !String(thrown).includes('unable to freeze')) throw thrown;
      });
    }
  }

  async unpause(service: Service): Promise<void> {
    await (await this.#docker(service)).unpause();
  }

  /** Pulls its power cord. */
  async kill(service: Service): Promise<void> {
    const docker = await this.#docker(service);
    await docker.kill({ signal: 'SIGKILL' });
    await docker.wait();
  }

  /** Switches a host on that was killed. */
  async boot(service: Service): Promise<void> {
    await (await this.#docker(service)).start();
  }

  async #docker(service: Service) {
    const client = await getContainerRuntimeClient();
    return client.container.getById(this.#container(service).getId());
  }

  #container(service: Service) {
    return this.#environment.getContainer(`${service}-1`);
  }
}
