import { join } from 'node:path';
import { loadSchedules } from '../../config/schedules.ts';
import { formatInstantUtc } from '../../domain/time/instant.ts';
import type { PrimaryPosition } from '../../domain/topology/lag.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import { positionOf } from '../../workflows/observe-topology.ts';
import { type ClusterStatus, observeStatus, type StatusOptions } from '../../workflows/status/status.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { enginesOf } from '../render/backups.ts';
import { hasFindings, renderStatus, statusToJson } from '../render/status.ts';
import { openSession, type Session } from '../session.ts';

interface Options extends GlobalOptions {
  readonly watch?: string | true;
}

const WATCH_SECONDS = 2;
const MOST_WATCH_SECONDS = 3600;
const MOST_POSITIONS = 1000;
/** Cursor to the corner, then everything behind it is cleared: nothing flickers and scrolled lines stay. */
const CLEAR_SCREEN = '\u001B[H\u001B[J';

/** `spoke-backup status` */
export async function statusCommand(options: Options, context: CommandContext): Promise<void> {
  const seconds = watchSecondsOf(options);
  const session = await openSession(options, context);
  const location = { configurationPath: session.configuration.path, shippedDirectory: join(context.root, 'schedules') };
  const { archive_command: expectedArchiveCommand } = session.ports.engine.archivingSettings();
  const asked = { expectedArchiveCommand, schedules: await loadSchedules(session.cluster, location) };
  if (seconds === undefined) print(await look(asked, session, context), session, context);
  else await watch(seconds, asked, session, context);
}

function look(asked: StatusOptions, session: Session, { signal }: CommandContext): Promise<ClusterStatus> {
  return observeStatus(session.cluster, asked, session.ports, { signal });
}

/** Looks again and again, until the signal ends it. A look that fails is told, and the next one made all the same. */
async function watch(seconds: number, asked: StatusOptions, session: Session, context: CommandContext): Promise<void> {
  let timeline: number | undefined;
  let positions: readonly PrimaryPosition[] = [];
  const isOver = () => context.signal.aborted;
  while (!isOver()) {
    try {
      const status = await look({ ...asked, positions }, session, context);
      const primary = status.topology.primary?.server;
      const position = positionOf(primary?.replication);
      const earlier = timeline === primary?.timeline ? positions : [];
      positions = position === undefined ? earlier : [...earlier, position].slice(-MOST_POSITIONS);
      timeline = primary?.timeline;
      if (!context.output.json) process.stdout.write(process.stdout.isTTY ? CLEAR_SCREEN : `\n${formatInstantUtc(status.now)}\n`);
      print(status, session, context);
      await session.ports.clock.sleep(seconds * 1000, context.signal);
    } catch (thrown) {
      if (isOver()) return;
      const error = asSpokeError(thrown);
      if (error.code === 'INTERNAL') throw error;
      context.output.warn(error.message);
      await session.ports.clock.sleep(seconds * 1000, context.signal).catch(() => undefined);
    }
  }
}

function print(status: ClusterStatus, session: Session, { output }: CommandContext): void {
  output.exitCode = hasFindings(status) ? 3 : 0;
  output.result({ cluster: session.cluster.name, ...statusToJson(status, enginesOf(session.cluster)) }, () =>
    renderStatus(status, session.configuration.timezone),
  );
}

function watchSecondsOf({ watch: wish }: Options): number | undefined {
  if (wish === undefined) return undefined;
  const seconds = wish === true ? WATCH_SECONDS : Number(wish);
  if (seconds > 0 && seconds <= MOST_WATCH_SECONDS) return seconds;
  throw new SpokeError('USAGE', `--watch ${wish}: it is a number of seconds, up to ${MOST_WATCH_SECONDS}`);
}
