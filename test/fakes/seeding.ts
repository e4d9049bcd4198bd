import { formatLsn } from '../../src/domain/postgres/lsn.ts';
import { SpokeError } from '../../src/errors.ts';
import type { StandbySeeding } from '../../src/ports/standby-seeding.ts';
import { dataDirectoryFiles, putFile } from './data-directory.ts';
import type { FakeProcess } from './process.ts';
import type { FakeServer } from './server.ts';
import { type FakeWorld, POSTGRES_USER } from './world.ts';

/** pg_rewind and pg_basebackup, whole and cut off half-way. */
export function fakeSeeding(process: FakeProcess): StandbySeeding {
  const { world } = process;
  return {
    rewind: ({ dataDirectory, conninfo }) =>
      process.change(
        'rewind',
        () => rewind(world, dataDirectory, conninfo, 'whole'),
        () => rewind(world, dataDirectory, conninfo, 'half'),
      ),
    copyServer: ({ dataDirectory, conninfo }) =>
      process.change(
        'copy server',
        () => copy(world, dataDirectory, conninfo, 'whole'),
        () => copy(world, dataDirectory, conninfo, 'half'),
      ),
  };
}

type Extent = 'whole' | 'half';

function sourceOf(world: FakeWorld, conninfo: string): FakeServer {
  const port = Number(/\bport=(\d+)/.exec(conninfo)?.[1]);
  const found = [...world.servers].find((server) => server.start.port === port);
  if (found?.acceptsConnections() === true) return found;
  throw new SpokeError('POSTGRES_UNAVAILABLE', 'connection to server failed: Connection refused', { details: { isUntouched: true } });
}

/** What it needs of the target's WAL it removes before it fetches anything (libpq_source.c queues what is to be fetched), and pg_control comes last. */
function rewind(world: FakeWorld, dataDirectory: string, conninfo: string, extent: Extent): void {
  const { fs } = world;
  const source = sourceOf(world, conninfo);
  const wal = fs.list(`${dataDirectory}/pg_wal`);
  if (wal.length === 0) throw new SpokeError('TOOL_FAILED', 'pg_rewind failed: could not open file "pg_wal/00000002.history" for reading');
  for (const name of wal) fs.remove(`${dataDirectory}/pg_wal/${name}`);
  fs.remove(`${dataDirectory}/standby.signal`);
  fs.remove(`${dataDirectory}/base/2`);
  if (extent === 'half') return;
  for (const [path, content] of filesOf(world, source)) putFile(fs, dataDirectory, path, content, POSTGRES_USER);
  fs.writeFile(`${dataDirectory}/pg_wal/${world.history.openSegment()}`, 'wal');
}

function copy(world: FakeWorld, dataDirectory: string, conninfo: string, extent: Extent): void {
  const { fs } = world;
  const source = sourceOf(world, conninfo);
  if (fs.list(dataDirectory).length > 0) throw new SpokeError('TOOL_FAILED', `directory "${dataDirectory}" exists but is not empty`);
  const files = filesOf(world, source);
  fs.makeDirectory(`${dataDirectory}/pg_wal`, POSTGRES_USER);
  fs.makeDirectory(`${dataDirectory}/pg_tblspc`, POSTGRES_USER);
  const written = extent === 'half' ? files.slice(0, Math.ceil(files.length / 2)) : files;
  for (const [path, content] of written) putFile(fs, dataDirectory, path, content, POSTGRES_USER);
}

/** As they are on a primary: its configuration, its state, and no signal file. */
function filesOf({ fs, history }: FakeWorld, { directory, start }: FakeServer) {
  const path = fs.pathOf(directory.identity) ?? '';
  const lsn = formatLsn(history.insertLsn);
  const postgresqlConf = fs.readFile(`${path}/postgresql.conf`);
  return dataDirectoryFiles({
    control: {
      systemIdentifier: String(history.systemIdentifier),
      state: 'in production',
      timeline: history.timeline,
      redo: lsn,
      consistentAt: lsn,
    },
    content: { lsn, timeline: history.timeline },
    owner: start.owner,
    ...(postgresqlConf === undefined ? {} : { postgresqlConf }),
    autoConf: fs.readFile(`${path}/postgresql.auto.conf`) ?? '',
  });
}
