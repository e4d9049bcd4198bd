import { asSpokeError, SpokeError } from '../../errors.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { rangeContaining } from '../../domain/catalog/wal-archive.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import type { CommandPreview } from '../../ports/backup-engine.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ArchiverStatistics, ServerAddress } from '../../ports/postgres-server.ts';
import type { StepOf } from '../../plan/step.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const POLL_MS = 50;
/** Between two looks into a repository, which has to list its archive for each. */
const LOOK_EVERY_MS = 2_000;
/** PostgreSQL's archiver tries a segment so often, a second apart, before it rests for a minute (pgarch.c: NUM_ARCHIVE_RETRIES). */
const FAILURES_OF_A_ROUND = 3n;

/** Setting up the archive, and having a primary archive what it still holds. */
export function archivingHandlers(
  ports: HandlerPorts,
): HandlersOf<
  'write-configuration' | 'create-repositories' | 'alter-system' | 'reload-configuration' | 'check-archiving' | 'close-wal-segment'
> {
  const { engine, postgresWriter } = ports;
  return {
    'write-configuration': {
      preview: () => engine.previewWriteConfiguration(),
      run: async () => {
        await engine.writeConfiguration();
        return {};
      },
    },
    'create-repositories': {
      preview: () => engine.previewCreateRepositories(),
      run: async (_step, context) => {
        await engine.createRepositories(context);
        return {};
      },
    },
    'alter-system': {
      preview: (step) =>
        Object.entries(step.settings).map(([name, value]) => sql(step.node, `ALTER SYSTEM SET ${name} = ${quoteLiteral(value)}`)),
      run: async (step, context) => {
        await postgresWriter.alterSystem(await primaryAddress(ports, step.node, context), step.settings, context);
        return { settings: step.settings };
      },
    },
    'reload-configuration': {
      preview: (step) => [sql(step.node, 'SELECT pg_reload_conf()')],
      run: async (step, context) => {
        await postgresWriter.reloadConfiguration(await primaryAddress(ports, step.node, context), context);
        return {};
      },
    },
    'check-archiving': {
      preview: () => engine.previewCheckArchiving(),
      run: async (_step, context) => {
        await engine.checkArchiving(context);
        return {};
      },
    },
    'close-wal-segment': {
      preview: (step) => [sql(step.node, 'SELECT pg_current_xact_id()'), sql(step.node, 'SELECT pg_switch_wal()')],
      run: (step, context) => closeWalSegment(ports, step, context),
    },
  };
}

function sql(node: string, statement: string): CommandPreview {
  return { argv: [`(${node})`, statement] };
}

function quoteLiteral(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** The node's address, once more confirmed to be a primary: roles are observed, also right before a change. */
export async function primaryAddress(ports: HandlerPorts, node: string, context: OperationContext): Promise<ServerAddress> {
  const address = await ports.access.addressOf(node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node} has no url in the configuration`);
  const server = await ports.postgres.observeServer(address, context);
  if (server.inRecovery) throw new SpokeError('PLAN_STALE', `node ${node} is in recovery now: it is no longer the primary`);
  return address;
}

async function closeWalSegment(ports: HandlerPorts, step: StepOf<'close-wal-segment'>, context: OperationContext) {
  const address = await primaryAddress(ports, step.node, context);
  const failedBefore = (await ports.postgres.observeServer(address, context)).archiver.failedCount;
  const closed = await ports.postgresWriter.closeWalSegment(address, context);
  const deadlineMs = ports.clock.monotonicMs() + (context.timeoutMs ?? 0);
  let lookAgainMs = 0;
  for (;;) {
    const { archiver, walSegmentSizeBytes } = await ports.postgres.observeServer(address, context);
    if (archiver.lastArchivedWal !== undefined && isArchivedUpTo(archiver.lastArchivedWal, closed.segment)) {
      const leftMs = Math.max(1, deadlineMs - ports.clock.monotonicMs());
      const request = { segment: closed.segment, segmentSizeBytes: walSegmentSizeBytes };
      for (const repository of step.repositories)
        await ports.engine.awaitArchived({ repository, ...request }, { ...context, timeoutMs: leftMs });
      return { segment: closed.segment };
    }
    const isFailing = archiver.lastFailedTime !== undefined && archiver.lastFailedTime >= closed.commitTime;
    if (isFailing && ports.clock.monotonicMs() >= lookAgainMs) {
      if (await allHold(ports, step.repositories, closed.segment, context)) return { segment: closed.segment };
      lookAgainMs = ports.clock.monotonicMs() + LOOK_EVERY_MS;
    }
    // What the restore can do without is not worth minutes of the outage.
    const isGivenUp = step.onFailure === 'continue' && archiver.failedCount - failedBefore >= FAILURES_OF_A_ROUND;
    if (isGivenUp || ports.clock.monotonicMs() > deadlineMs) throw notArchived(step.node, closed.segment, archiver, isFailing);
    context.onProgress?.({ phase: 'waiting for the archiver', position: closed.segment });
    await ports.clock.sleep(POLL_MS, context.signal);
  }
}

/**
 * Whether the repositories that count have the segment. For the archiver it is archived only when every repository has it, so
 * one that is down would keep all others from being restored from.
 */
async function allHold(
  ports: HandlerPorts,
  repositories: readonly RepositoryName[],
  segment: string,
  context: OperationContext,
): Promise<boolean> {
  for (const repository of repositories) {
    try {
      const { walArchive } = await ports.catalog.readRepository(repository, { walArchive: true }, context);
      if (walArchive === undefined) return false;
      const { timeline, segmentNumber } = parseWalSegmentName(segment, walArchive.segmentSizeBytes);
      if (rangeContaining(walArchive, timeline, segmentNumber) === undefined) return false;
    } catch (thrown) {
      if (asSpokeError(thrown).retry === 'alternative') return false;
      throw thrown;
    }
  }
  return true;
}

/** What fails is not tried again: another repository may have what this one lacks. */
function notArchived(node: string, segment: string, archiver: ArchiverStatistics, isFailing: boolean): SpokeError {
  return new SpokeError(
    isFailing ? 'REPOSITORY_UNAVAILABLE' : 'TIMED_OUT',
    `${node} has not archived segment ${segment}; last archived: ${archiver.lastArchivedWal ?? 'none'}, last failed: ${archiver.lastFailedWal ?? 'none'}`,
    { hint: 'See what its archive_command says in the server log; spoke-backup setup archiving repairs the settings.' },
  );
}

/** The archiver works in order of names; history and partial files sort beside the segment that they belong to. */
function isArchivedUpTo(lastArchived: string, segment: string): boolean {
  return lastArchived.slice(0, 24) >= segment && /^[0-9A-F]{24}/.test(lastArchived);
}
