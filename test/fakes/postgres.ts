import { SpokeError } from '../../src/errors.ts';
import type { PostgresReader, PostgresWriter, ServerAddress } from '../../src/ports/postgres-server.ts';
import type { ServiceControl } from '../../src/ports/service-control.ts';
import { fileIn, type FakeFile } from './file-system.ts';
import { formatSettings, parseSettings, tablespacesOf } from './data-directory.ts';
import type { FakeProcess } from './process.ts';
import type { FakeServer } from './server.ts';
import type { FakeService, FakeWorld } from './world.ts';

/** The only role of every fake cluster that may log in. */
const SUPERUSER = 'postgres';

export function fakePostgresReader(process: FakeProcess): PostgresReader {
  return {
    observeServer: (address) => process.read(() => serverAt(process.world, address).observe()),
    observeRecovery: (address) => process.read(() => serverAt(process.world, address).recoveryState()),
    observeStreaming: (address, slot) => process.read(() => serverAt(process.world, address).observeStreaming(slot)),
    observeReplication: (address) => process.read(() => serverAt(process.world, address).observeReplication()),
    observeSeedSource: (address) =>
      process.read(() => {
        serverAt(process.world, address);
        return { databaseBytes: process.world.databaseBytes, freeSenders: 8 };
      }),
    observeWal: (address) => process.read(() => serverAt(process.world, address).observeWal()),
    observeTablespaces: (address) =>
      process.read(() => tablespacesOf(serverAt(process.world, address).directory).map((one) => ({ ...one, name: `t${one.oid}` }))),
    observeSummaries: () => Promise.reject(new SpokeError('POSTGRES_FAILED', 'the fake server summarizes no WAL')),
    readTimelineHistory: (address, timeline) =>
      process.read(() => {
        serverAt(process.world, address);
        return process.world.history.historyOf(timeline);
      }),
  };
}

/** A URL names the port: postgresql://…:5432/… */
function serverAt(world: FakeWorld, address: ServerAddress): FakeServer {
  const unavailable = (why: string) => new SpokeError('POSTGRES_UNAVAILABLE', why);
  const server =
    address.kind === 'socket'
      ? world.serverAt(address)
      : [...world.servers].find(({ start }) => start.port === Number(new URL(address.url).port) && start.listenAddresses !== '');
  if (server === undefined) throw unavailable('connection refused');
  if (!server.acceptsConnections()) throw unavailable('the database system is starting up');
  if (address.kind === 'socket' && address.user !== SUPERUSER) throw unavailable(`role "${address.user}" does not exist`);
  return server;
}

export function fakePostgresWriter(process: FakeProcess): PostgresWriter {
  const { world } = process;
  return {
    alterSystem: (address, settings) =>
      process.change(
        'alter system',
        () => alterSystem(serverAt(world, address), Object.entries(settings)),
        () => alterSystem(serverAt(world, address), Object.entries(settings).slice(0, 1)),
      ),
    reloadConfiguration: (address) => process.change('reload configuration', () => serverAt(world, address).reload()),
    checkpoint: (address) => process.change('checkpoint', () => serverAt(world, address).checkpoint()),
    createSlot: (address, slot) => process.change('create slot', () => void serverAt(process.world, address).slots.add(slot)),
    dropSlot: (address, slot) =>
      process.change('drop slot', () => {
        serverAt(world, address).slots.delete(slot);
        world.lostSlots.delete(slot);
      }),
    closeWalSegment: (address) =>
      process.change('close WAL segment', () => {
        const server = serverAt(world, address);
        if (server.recoveryState().inRecovery) throw new SpokeError('POSTGRES_FAILED', 'cannot execute pg_switch_wal() during recovery');
        if (!server.isOrigin) world.violations.push('a marker was committed on a server that is not the old primary');
        const { time } = world.history.commit();
        const segment = world.history.switchSegment();
        archive(world, server, segment);
        return { segment, commitTime: time };
      }),
    promote: (address) => process.change('promote', () => serverAt(world, address).promote()),
    endRecoveryAtTarget: (address) => process.change('end recovery', () => serverAt(world, address).promote()),
  };
}

/** pgBackRest's archive-push fails where one repository fails, and PostgreSQL keeps the segment. */
function archive(world: FakeWorld, server: FakeServer, segment: string): void {
  const isUp = world.repositories.every((repository) => repository.state === 'up');
  if (!server.archives || !isUp) {
    server.archiver = {
      ...server.archiver,
      failedCount: server.archiver.failedCount + 1n,
      lastFailedWal: segment,
      lastFailedTime: world.now(),
    };
    return;
  }
  for (const repository of world.repositories) repository.archiveEverything();
  server.archiver = {
    ...server.archiver,
    archivedCount: server.archiver.archivedCount + 1n,
    lastArchivedWal: segment,
    lastArchivedTime: world.now(),
  };
}

function alterSystem(server: FakeServer, settings: readonly (readonly [string, string | null])[]): void {
  const file: FakeFile | undefined = fileIn(server.directory, 'postgresql.auto.conf');
  if (file === undefined) return;
  const present: Record<string, string> = { ...parseSettings(file.content) };
  for (const [name, value] of settings) {
    if (value === null) delete present[name];
    else present[name] = value;
  }
  file.content = formatSettings(present);
}

export function fakeServiceControl(process: FakeProcess): ServiceControl {
  const { world } = process;
  const start = ({ start: how }: FakeService) => {
    if (world.serverAt(how) === undefined) world.startServer(how);
  };
  const stop = ({ start: how }: FakeService) => world.serverAt(how)?.stop('fast');
  const named = (service: FakeService['service']) => {
    const found = world.services.find((one) => JSON.stringify(one.service) === JSON.stringify(service));
    if (found === undefined) throw new SpokeError('TOOL_FAILED', 'Unit not found.');
    return found;
  };
  return {
    startService: (service) => process.change('start service', () => start(named(service))),
    stopService: (service) => process.change('stop service', () => stop(named(service))),
    restartService: (service) =>
      process.change(
        'restart service',
        () => {
          stop(named(service));
          start(named(service));
        },
        () => stop(named(service)),
      ),
  };
}
