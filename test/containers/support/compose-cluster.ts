import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DockerComposeEnvironment, getContainerRuntimeClient, type StartedDockerComposeEnvironment } from 'testcontainers';

const ROOT = join(import.meta.dirname, '../../..');
export type Service = 'node-1' | 'node-2' | 'node-3' | 'pgbouncer' | 'spoke-backup';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The cluster of docker-compose.yml, under a name of its own. Its hosts can be cut off, frozen and killed. */
export class ComposeCluster {
  readonly #environment: StartedDockerComposeEnvironment;
  readonly #network: string;

  private constructor(environment: StartedDockerComposeEnvironment, network: string) {
    this.#environment = environment;
    this.#network = network;
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
    return new ComposeCluster(environment, `${project}_default`);
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

  /** Unplugs a host: it runs on, and nobody reaches it. */
  async disconnect(service: Service): Promise<void> {
    const network = (await getContainerRuntimeClient()).container.dockerode.getNetwork(this.#network);
    await network.disconnect({ Container: this.#container(service).getId(), Force: true });
  }

  /** Plugs it in again, under its name; its address may be another. */
  async reconnect(service: Service): Promise<void> {
    const network = (await getContainerRuntimeClient()).container.dockerode.getNetwork(this.#network);
    await network.connect({ Container: this.#container(service).getId(), EndpointConfig: { Aliases: [service] } });
  }

  /** Freezes a host: its connections stay open and nothing answers. */
  async pause(service: Service): Promise<void> {
    await (await this.#docker(service)).pause();
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
