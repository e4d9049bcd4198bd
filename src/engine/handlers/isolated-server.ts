import { sharedBuffersForReplay } from '../../domain/recovery/replay-memory.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { IsolatedServer, RestoreArea, StepOf } from '../../plan/step.ts';
import { connectIsolated, ifItAnswers, installationOf } from './connect.ts';
import { orDiskFull } from './disk-full.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { proveTarget } from './prove-target.ts';

/** Whatever the restored configuration says: while it is isolated, nothing goes out and nobody comes in. */
const ISOLATION: Readonly<Record<string, string>> = {
  archive_command: '',
  archive_cleanup_command: '',
  recovery_end_command: '',
  primary_conninfo: '',
  primary_slot_name: '',
  synchronous_standby_names: '',
  hot_standby: 'on',
  // Extensions and subscriptions would begin to work as soon as it is promoted: jobs would run twice.
  shared_preload_libraries: '',
  max_logical_replication_workers: '0',
  ssl: 'off',
  autovacuum: 'off',
  external_pid_file: '',
  cluster_name: 'spoke-restore',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] ',
  log_timezone: 'UTC',
  timezone: 'UTC',
  lc_messages: 'C',
  unix_socket_permissions: '0700',
};

const POLL_MS = 200;
const MEBIBYTE = 1024 * 1024;
/** Its connections end first. */
const ENDING_MS = 5_000;
const LOG_TAIL_BYTES = 64 * 1024;
const HBA_LINES = 'local all all trust\n';

/** The server beside: started, watched to its target, promoted, stopped. */
export function isolatedServerHandlers(
  ports: HandlerPorts,
): HandlersOf<'start-isolated' | 'prove-target' | 'promote-isolated' | 'stop-isolated'> {
  return {
    'start-isolated': {
      preview: (step) => [
        { argv: ['postgres', '-D', step.server.area.dataDirectory, '-k', step.server.area.socketDirectory, '-c', "listen_addresses=''"] },
      ],
      run: (step, context) => orDiskFull(ports, step.server.area, context, () => start(ports, step, context)),
    },
    'prove-target': {
      preview: (step) => [{ argv: ['(watch)', step.server.area.logFile] }],
      run: (step, context) => orDiskFull(ports, step.server.area, context, () => proveTarget(ports, step, context)),
    },
    'promote-isolated': {
      preview: () => [{ argv: ['(isolated)', 'SELECT pg_wal_replay_resume()'] }],
      run: (step, context) => orDiskFull(ports, step.server.area, context, () => promote(ports, step, context)),
    },
    'stop-isolated': {
      preview: (step) => [{ argv: ['pg_ctl', 'stop', '-D', step.server.area.dataDirectory, '-m', 'fast'] }],
      run: (step, context) => orDiskFull(ports, step.server.area, context, () => stop(ports, step, context)),
    },
  };
}

async function start(ports: HandlerPorts, { server, archiving, backup }: StepOf<'start-isolated'>, context: OperationContext) {
  const { area, owner } = server;
  const found = await ports.instance.inspectDirectory(area.dataDirectory, context);
  if (found.running !== undefined) return { port: found.running.port };
  const installation = await installationOf(ports.instance, server.postgresMajor, context);
  const port = await ports.instance.findFreePort();
  await ports.instanceControl.createDirectory(area.socketDirectory, owner);
  // A log of its own for each start: what an earlier attempt said must not be read as this one's.
  await ports.instanceControl.writeFileDurably(area.logFile, '', owner, 0o600);
  // It replays once more from somewhere before: what was proven of it then does not hold until it is there again.
  if (found.hasRecoverySignal) await ports.instanceControl.writeFileDurably(area.proofFile, '', owner, 0o600);
  await ports.instanceControl.writeFileDurably(area.hbaFile, HBA_LINES, owner, 0o600);
  if (!found.hasPostgresqlConf) await ports.instanceControl.writeFileDurably(area.configFile, '', owner, 0o600);
  const replay = { repository: backup.repository, workDirectory: area.workDirectory };
  await ports.engine.beginReplay(replay, context);
  await ports.instanceControl.startServer(
    {
      dataDirectory: area.dataDirectory,
      binDirectory: installation.binDirectory,
      owner,
      port,
      socketDirectory: area.socketDirectory,
      listenAddresses: '',
      logFile: area.logFile,
      settings: {
        ...found.control?.standbySettings,
        ...ISOLATION,
        ...ports.engine.replaySettings(replay),
        // With archive_mode on and no command, WAL and history files wait in pg_wal for the real archiver.
        archive_mode: archiving === 'keep' ? 'on' : 'off',
        data_directory: area.dataDirectory,
        shared_buffers: sharedBuffersForReplay(await ports.instance.availableMemoryBytes()),
        wal_keep_size: await sizeOfWal(ports, area, found.control?.walSegmentSizeBytes ?? 0),
        ...(server.postgresMajor >= 15 ? { archive_library: '' } : {}),
      },
      hbaFile: area.hbaFile,
      ...(found.hasPostgresqlConf ? {} : { configFile: area.configFile }),
    },
    context,
  );
  return { port };
}

/**
 * What lies in pg_wal before the start was salvaged, and may be nowhere else: without it a checkpoint would remove what has
 * been replayed, since archiving is none of a recovering server's business.
 */
async function sizeOfWal(ports: HandlerPorts, area: RestoreArea, segmentSizeBytes: number): Promise<string> {
  const files = await ports.instance.listFiles(`${area.dataDirectory}/pg_wal`);
  return `${Math.ceil((files.length * segmentSizeBytes) / MEBIBYTE)}MB`;
}

async function promote(ports: HandlerPorts, { server }: StepOf<'promote-isolated'>, context: OperationContext) {
  try {
    return await endRecovery(ports, server, context);
  } catch (thrown) {
    const error = asSpokeError(thrown);
    throw error.code === 'POSTGRES_UNAVAILABLE' ? ((await whyItEnded(ports, server, context)) ?? error) : error;
  }
}

/** Ending recovery, PostgreSQL asks for history files once more: where that fails it ends, and its log alone tells why. */
async function whyItEnded(ports: HandlerPorts, { area }: IsolatedServer, context: OperationContext): Promise<SpokeError | undefined> {
  const deadlineMs = ports.clock.monotonicMs() + ENDING_MS;
  while ((await ports.instance.inspectDirectory(area.dataDirectory, context)).running !== undefined) {
    if (ports.clock.monotonicMs() > deadlineMs) return undefined;
    await ports.clock.sleep(POLL_MS, context.signal);
  }
  const log = await ports.instance.readFileTail(area.logFile, LOG_TAIL_BYTES);
  const fatal = log.split('\n').findLast((line) => /(FATAL|PANIC): /.test(line)) ?? 'its log does not say why';
  return new SpokeError('POSTGRES_FAILED', `the restored server ended while it left recovery: ${fatal}`, {
    hint: 'Go on from where it was: spoke-backup runs resume',
    details: { serverLog: log.split('\n').slice(-15).join('\n') },
  });
}

async function endRecovery(ports: HandlerPorts, server: IsolatedServer, context: OperationContext) {
  const { address, state } = await connectIsolated(ports, server, context);
  if (state.paused) await ports.postgresWriter.endRecoveryAtTarget(address, context);
  else if (state.inRecovery) await ports.postgresWriter.promote(address, context);
  const after = await ports.postgres.observeRecovery(address, context);
  if (after.inRecovery) throw new SpokeError('POSTGRES_FAILED', 'the restored server did not leave recovery when it was told to');
  return { timeline: after.timeline };
}

async function stop(ports: HandlerPorts, { server }: StepOf<'stop-isolated'>, context: OperationContext) {
  const installation = await installationOf(ports.instance, server.postgresMajor, context);
  const { area, owner } = server;
  await untilItAnswers(ports, server, context);
  await ports.instanceControl.stopServer(
    { dataDirectory: area.dataDirectory, binDirectory: installation.binDirectory, owner, mode: 'fast' },
    context,
  );
  await ports.engine.endReplay(area, context);
  const { control } = await ports.instance.inspectDirectory(area.dataDirectory, context);
  if (control?.state.startsWith('shut down') !== true)
    throw new SpokeError(
      'POSTGRES_FAILED',
      `the restored server did not shut down cleanly: its pg_control says "${control?.state ?? 'nothing'}"`,
      {
        hint: `Read ${area.logFile}, then: spoke-backup runs resume`,
      },
    );
  return {};
}

/** A shutdown in the middle of crash recovery is not a clean one. */
async function untilItAnswers(ports: HandlerPorts, server: IsolatedServer, context: OperationContext): Promise<void> {
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  while (ports.clock.monotonicMs() <= deadlineMs) {
    const { running } = await ports.instance.inspectDirectory(server.area.dataDirectory, context);
    if (running === undefined || (await ifItAnswers(connectIsolated(ports, server, context))) !== undefined) return;
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}
