import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { freePort } from '../../harness/free-port.ts';
import type { Lab } from '../../harness/lab.ts';
import { TestPgBouncer } from '../../harness/pgbouncer.ts';

const CONSOLE = { user: 'bouncer_admin', password: 'of the console' };

/** What stands in front of a lab: `app` leads to its primary, `reads` to its standbys. */
export interface Front {
  readonly bouncer: TestPgBouncer;
  readonly port: number;
  /** The password of postgres, which clients connect as. */
  readonly password: string;
}

/** What it stands in front of: its secrets lie beside passwordFile. */
export type Fronted = Pick<Lab, 'makeDirectory' | 'json' | 'owner'> & {
  readonly description: Pick<Lab['description'], 'config' | 'passwordFile'>;
};

/** A real PgBouncer and an endpoints file in front of a lab, set up as a user would. */
export async function putInFront(lab: Fronted): Promise<Front> {
  const place = await lab.makeDirectory('front');
  const port = await freePort();
  const secrets = dirname(lab.description.passwordFile);
  await configure(lab, { place, port, secrets });
  await lab.json('setup', 'pgbouncer', '--apply');
  await lab.json('setup', 'endpoints', '--apply');
  const bouncer = await TestPgBouncer.start(join(place, 'pgbouncer.ini'), { port, ...CONSOLE }, lab.owner);
  return { bouncer, port, password: (await readFile(join(secrets, 'postgres-password'), 'utf8')).trim() };
}

/** What applications would read. */
export async function readEndpoints(lab: Pick<Lab, 'directory'>): Promise<string> {
  return readFile(join(lab.directory, 'front/endpoints.env'), 'utf8');
}

interface Places {
  readonly place: string;
  readonly port: number;
  readonly secrets: string;
}

async function configure(lab: Fronted, { place, port, secrets }: Places): Promise<void> {
  const { config } = lab.description;
  const console = join(place, 'console-password');
  await writeFile(console, CONSOLE.password, { mode: 0o600 });
  const document = parseDocument(await readFile(config, 'utf8'));
  const set = (key: string, value: unknown) => document.setIn(['clusters', 'lab', key], value);
  set('replication', { role: 'replicator', password: `\${file:${join(secrets, 'replicator-password')}}` });
  set('endpoints', { file: join(place, 'endpoints.env') });
  set('pgbouncer', [
    {
      name: 'front',
      adminUrl: `postgresql://${CONSOLE.user}:\${file:${console}}@127.0.0.1:${port}/pgbouncer`,
      configFile: join(place, 'pgbouncer.ini'),
      userListFile: join(place, 'userlist.txt'),
      settings: { listen_addr: '127.0.0.1', unix_socket_dir: '' },
      databases: { app: { to: 'primary', database: 'postgres' }, reads: { to: 'standbys', database: 'postgres' } },
    },
  ]);
  await writeFile(config, document.toString());
}
