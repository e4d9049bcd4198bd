import { formatLsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { closedVersionText } from '../../src/domain/postgres/version-file.ts';
import { SpokeError } from '../../src/errors.ts';
import type { StandbySeeding } from '../../src/ports/standby-seeding.ts';
import { dataDirectoryFiles, hasFile, POSTGRES_MAJOR, putFile, readContent, readControl, updateControl } from './data-directory.ts';
import type { FakeProcess } from './process.ts';
import type { FakeServer } from './server.ts';
import { type FakeWorld, POSTGRES_USER } from './world.ts';

/** pg_rewind and pg_basebackup, whole and cut off half-way. */
export function fakeSeeding(process: FakeProcess): StandbySeeding {
  const { world } = process;
  return {
    async rewind({ dataDirectory, conninfo }) {
      await process.change('recover for rewind', () => recoverForRewind(world, dataDirectory));
      await process.change(
        'rewind',
        () => rewind(world, dataDirectory, conninfo, 'whole'),
        () => rewind(world, dataDirectory, conninfo, 'half'),
      );
    },
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
  const found = [...world.servers].find((server) => server.start.port === port && server.start.listenAddresses !== '');
  if (found?.acceptsConnections() === true) return found;
  throw new SpokeError('POSTGRES_UNAVAILABLE', 'connection to server failed: Connection refused', { details: { isUntouched: true } });
}

function untouched(why: string): SpokeError {
  return new SpokeError('TOOL_FAILED', `pg_rewind failed: ${why}`, { details: { isUntouched: true } });
}

/** A server that was not shut down is recovered in single-user mode first (ensureCleanShutdown, pg_rewind.c). */
function recoverForRewind(world: FakeWorld, dataDirectory: string): void {
  const directory = world.fs.directory(dataDirectory);
  const control = directory === undefined ? undefined : readControl(directory);
  if (directory === undefined || control === undefined) throw untouched('could not open file "global/pg_control" for reading');
  if (world.serverOn(directory.identity) !== undefined) throw untouched('lock file "postmaster.pid" already exists');
  if (control.state.startsWith('shut down')) return;
  if (hasFile(directory, 'standby.signal')) throw untouched('standby mode is not supported by single-user servers');
  updateControl(directory, { state: 'shut down' });
}

/**
 * What it needs of the target's WAL it removes before it fetches anything (libpq_source.c queues what is to be fetched), and pg_control comes
 * last. PG_VERSION is closed when it begins, and is the one file that it leaves.
 */
function rewind(world: FakeWorld, dataDirectory: string, conninfo: string, extent: Extent): void {
  const { fs } = world;
  const source = sourceOf(world, conninfo);
  if (!hasToBeRewound(world, dataDirectory, source)) return;
  const wal = fs.list(`${dataDirectory}/pg_wal`);
  if (wal.length === 0) throw new SpokeError('TOOL_FAILED', 'pg_rewind failed: could not open file "pg_wal/00000002.history" for reading');
  fs.writeFile(`${dataDirectory}/PG_VERSION`, closedVersionText(POSTGRES_MAJOR));
  for (const name of wal) fs.remove(`${dataDirectory}/pg_wal/${name}`);
  fs.remove(`${dataDirectory}/standby.signal`);
  fs.remove(`${dataDirectory}/base/2`);
  for (const [path, content] of filesOf(world, source).filter(([path]) => path === 'postgresql.auto.conf'))
    putFile(fs, dataDirectory, path, content, POSTGRES_USER);
  if (extent === 'half') return;
  for (const [path, content] of filesOf(world, source).filter(([path]) => path !== 'PG_VERSION'))
    putFile(fs, dataDirectory, path, content, POSTGRES_USER);
  fs.writeFile(`${dataDirectory}/pg_wal/${world.history.openSegment()}`, 'wal');
}

/** By the timelines that both have in pg_control, and by where their histories part: "no rewind required". */
function hasToBeRewound({ fs, history }: FakeWorld, dataDirectory: string, source: FakeServer): boolean {
  const target = fs.directory(dataDirectory);
  const [content, ofSource] = [target && readContent(target), readControl(source.directory)];
  if (content === undefined || ofSource === undefined || content.timeline === ofSource.timeline) return false;
  const fork = history.historyOf(timelineIdOf(ofSource.timeline)).ancestors.find((one) => one.timeline === content.timeline);
  return fork === undefined || parseLsn(content.lsn) > fork.switchLsn;
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
function filesOf({ fs, history }: FakeWorld, server: FakeServer) {
  const { directory, start } = server;
  const path = fs.pathOf(directory.identity) ?? '';
  const lsn = formatLsn(server.lsn());
  const timeline = server.isOrigin ? history.timeline : (readContent(directory)?.timeline ?? 1);
  const postgresqlConf = fs.readFile(`${path}/postgresql.conf`);
  return dataDirectoryFiles({
    control: {
      systemIdentifier: String(history.systemIdentifier),
      state: 'in production',
      timeline,
      redo: lsn,
      consistentAt: lsn,
    },
    content: { lsn, timeline },
    owner: start.owner,
    ...(postgresqlConf === undefined ? {} : { postgresqlConf }),
    autoConf: fs.readFile(`${path}/postgresql.auto.conf`) ?? '',
  });
}
