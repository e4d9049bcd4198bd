import { join } from 'node:path';
import { createPasswordVerifiers } from '../../src/adapters/postgres/scram.ts';
import { createServerSetupReader } from '../../src/adapters/postgres/server-setup.ts';
import { type BouncerDatabase, bouncerConfigurationText } from '../../src/domain/pgbouncer/configuration.ts';
import { userListText } from '../../src/domain/pgbouncer/user-list.ts';
import { TestPgBouncer } from '../harness/pgbouncer.ts';
import { openWorkshop, type TestServer, type Workshop } from './instance-harness.ts';

export const ADMIN = { user: 'bouncer_admin', password: 'of the "console" \\ 100% #1 é' };

/** A real server that lets everybody in by SCRAM, and a real PgBouncer in front of it. */
export interface BouncerWorkshop {
  readonly workshop: Workshop;
  readonly server: TestServer;
  readonly port: number;
  readonly adminUrl: string;
  /** Writes both files as the program would. */
  configure(databases: readonly Omit<BouncerDatabase, 'hosts' | 'port'>[]): Promise<void>;
  dispose(): Promise<void>;
}

/** `prepare`: statements for the superuser, run before PgBouncer starts. */
export async function openBouncerWorkshop(
  prepare: readonly string[],
  databases: readonly Omit<BouncerDatabase, 'hosts' | 'port'>[],
): Promise<BouncerWorkshop> {
  const workshop = await openWorkshop();
  try {
    return await openIn(workshop, prepare, databases);
  } catch (thrown) {
    await workshop.dispose();
    throw thrown;
  }
}

async function openIn(
  workshop: Workshop,
  prepare: readonly string[],
  databases: readonly Omit<BouncerDatabase, 'hosts' | 'port'>[],
): Promise<BouncerWorkshop> {
  const dataDirectory = join(workshop.root, 'd');
  await workshop.initialise(dataDirectory);
  const hba = 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n';
  await workshop.control.writeFileDurably(join(dataDirectory, 'pg_hba.conf'), hba, workshop.owner, 0o600);
  const server = await workshop.start(dataDirectory, { listen_addresses: '127.0.0.1', password_encryption: 'scram-sha-256' });
  await workshop.psql(server, ...prepare);
  const port = await workshop.reader.findFreePort();
  const adminUrl = `postgresql://${ADMIN.user}:${encodeURIComponent(ADMIN.password)}@127.0.0.1:${port}/pgbouncer`;
  const files = { configFile: join(workshop.root, 'pgbouncer.ini'), userListFile: join(workshop.root, 'userlist.txt') };

  const configure: BouncerWorkshop['configure'] = async (offered) => {
    const verifiers = await createServerSetupReader().readVerifiers(server.address, [], workshop.context);
    const admin = { user: ADMIN.user, verifier: await createPasswordVerifiers().create(ADMIN.password) };
    const entries = [...[...verifiers].map(([user, verifier]) => ({ user, verifier })), admin];
    const configuration = bouncerConfigurationText({
      databases: offered.map((one) => ({ ...one, hosts: ['127.0.0.1'], port: server.port })),
      listenPort: port,
      userListFile: files.userListFile,
      adminUsers: [ADMIN.user],
      settings: { listen_addr: '127.0.0.1', unix_socket_dir: '', min_pool_size: '0' },
    });
    await workshop.control.writeFileDurably(files.userListFile, userListText(entries), workshop.owner, 0o600);
    await workshop.control.writeFileDurably(files.configFile, configuration, workshop.owner, 0o640);
  };
  await configure(databases);
  const bouncer = await TestPgBouncer.start(files.configFile, { port, ...ADMIN }, workshop.owner);
  return {
    workshop,
    server,
    port,
    adminUrl,
    configure,
    async dispose() {
      await bouncer.stop();
      await workshop.dispose();
    },
  };
}
