import { resolve } from 'node:path';
import type { BackupLabel } from '../domain/catalog/base-backup.ts';
import { parseLsn } from '../domain/postgres/lsn.ts';
import type { RecoveryTarget } from '../domain/recovery/target.ts';
import type { Instant } from '../domain/time/instant.ts';
import { SpokeError } from '../errors.ts';
import type { RunId } from '../ports/run-store.ts';
import { parseTargetTimeline } from '../workflows/restore/intent.ts';
import type { RestoreRequest } from '../workflows/restore/request.ts';
import { requireConfirmation } from './confirm.ts';
import type { ChangingOptions, CommandContext } from './command-context.ts';
import { instantOption } from './instant-option.ts';
import { repositoryNamed, type Session } from './session.ts';

export interface RestoreOptions extends ChangingOptions {
  readonly to?: string;
  readonly toLsn?: string;
  readonly toXid?: string;
  readonly toName?: string;
  readonly exclusive?: boolean;
  readonly timeline: string;
  readonly repo?: string;
  readonly set?: string;
  readonly dataDirectory?: string;
  readonly inPlace?: boolean | string;
  readonly port?: string;
  readonly targetAction: string;
  readonly tablespaceMap: readonly string[];
  readonly start: boolean;
  readonly discardOld?: boolean;
  /** --only-node */
  readonly onlyNode?: boolean;
  /** --no-backup */
  readonly backup: boolean;
}

const BACKUP_LABEL = /^\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?$/;
const MOST_NAME_BYTES = 63;

/** What was typed, as a request. Throws USAGE for whatever cannot be meant. */
export async function restoreRequestOf(
  options: RestoreOptions,
  session: Session,
  runId: RunId,
  context: CommandContext,
): Promise<RestoreRequest> {
  const target = await targetOf(options, session, context);
  const { label, repository } = {
    label: labelOf(options),
    repository: options.repo === undefined ? undefined : repositoryNamed(session.cluster, options.repo),
  };
  if (options.targetAction !== 'promote' && options.targetAction !== 'pause')
    throw usage(`--target-action ${options.targetAction}: there are promote and pause`);
  if (target.kind === 'latest' && options.targetAction === 'pause')
    throw usage('--target-action pause: PostgreSQL cannot pause at the end of the archive; give a target');
  return {
    cluster: session.cluster,
    target,
    timeline: timelineOf(options.timeline),
    ...(repository === undefined ? {} : { repository }),
    ...(label === undefined ? {} : { label }),
    destination: destinationOf(options),
    targetAction: options.targetAction,
    tablespaceMap: tablespaceMapOf(options.tablespaceMap),
    start: options.start,
    discardOld: options.discardOld === true,
    suffix: runId.split('-').at(-1) ?? runId,
  };
}

async function targetOf(options: RestoreOptions, session: Session, context: CommandContext): Promise<RecoveryTarget> {
  const given = [options.to, options.toLsn, options.toXid, options.toName].filter((value) => value !== undefined);
  if (given.length !== 1) throw usage('say where to restore to, once: --to, --to-lsn, --to-xid or --to-name');
  const inclusive = options.exclusive !== true;
  const target = await parseTarget(options, inclusive, session, context);
  if (!inclusive && (target.kind === 'name' || target.kind === 'immediate' || target.kind === 'latest'))
    throw usage(`--exclusive has no meaning for ${target.kind}`);
  return target;
}

async function parseTarget(
  options: RestoreOptions,
  inclusive: boolean,
  session: Session,
  context: CommandContext,
): Promise<RecoveryTarget> {
  if (options.toLsn !== undefined) return { kind: 'lsn', lsn: orUsage(() => parseLsn(options.toLsn ?? '')), inclusive };
  if (options.toXid !== undefined) {
    if (!/^\d{1,20}$/.test(options.toXid) || BigInt(options.toXid) > 0xffff_ffff_ffff_ffffn)
      throw usage(`--to-xid ${options.toXid}: not a transaction id`);
    return { kind: 'xid', xid: BigInt(options.toXid), inclusive };
  }
  if (options.toName !== undefined) return { kind: 'name', name: restorePointName(options.toName) };
  if (options.to === 'latest' || options.to === 'immediate') return { kind: options.to };
  return { kind: 'time', time: await confirmedInstant(options, session, context), inclusive };
}

async function confirmedInstant(options: RestoreOptions, session: Session, context: CommandContext): Promise<Instant> {
  const { instant, echo, needsConfirmation } = await instantOption('--to', options.to ?? '', session);
  if (!needsConfirmation) return instant;
  context.output.say(echo);
  if (options.dryRun !== true) await requireConfirmation(echo, session.cluster.name, options, context.output, context.signal);
  return instant;
}

/** A restore point's name goes into a configuration file and on to PostgreSQL, which keeps 63 bytes of it. */
function restorePointName(name: string): string {
  if (name === '' || new TextEncoder().encode(name).length > MOST_NAME_BYTES || hasControlCharacter(name))
    throw usage(`--to-name: a restore point has 1 to ${MOST_NAME_BYTES} bytes and no control characters`);
  return name;
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\u007f');
}

function labelOf({ set }: RestoreOptions): BackupLabel | undefined {
  if (set === undefined) return undefined;
  if (!BACKUP_LABEL.test(set)) throw usage(`--set ${set}: not the label of a backup; see: spoke-backup backups`);
  return set as BackupLabel;
}

function destinationOf(options: RestoreOptions): RestoreRequest['destination'] {
  if (options.inPlace !== undefined && options.dataDirectory !== undefined)
    throw usage('--in-place and --data-directory exclude each other');
  if (options.inPlace !== undefined) return { kind: 'in-place', ...(typeof options.inPlace === 'string' ? { node: options.inPlace } : {}) };
  if (options.dataDirectory === undefined) throw usage('say where the restored data goes: --data-directory <path> or --in-place');
  return { kind: 'directory', path: absolutePath('--data-directory', options.dataDirectory), ...portOf(options.port) };
}

function absolutePath(option: string, path: string): string {
  if (path === '' || hasControlCharacter(path)) throw usage(`${option}: not a path`);
  return resolve(path);
}

function portOf(port: string | undefined): { port: number } | Record<string, never> {
  if (port === undefined) return {};
  const number = Number(port);
  if (!/^\d+$/.test(port) || number < 1 || number > 65_535) throw usage(`--port ${port}: not a port`);
  return { port: number };
}

function tablespaceMapOf(entries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    entries.map((entry) => {
      const [from, to, ...rest] = entry.split('=');
      if (from === undefined || to === undefined || rest.length > 0 || !from.startsWith('/'))
        throw usage(`--tablespace-map ${entry}: write it as /old/location=/new/location`);
      return [from, absolutePath('--tablespace-map', to)];
    }),
  );
}

function timelineOf(text: string) {
  try {
    return parseTargetTimeline(text);
  } catch {
    throw usage(`--timeline ${text}: there are latest, current and numbers from 1`);
  }
}

function orUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    throw usage(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function usage(message: string): SpokeError {
  return new SpokeError('USAGE', message, { hint: 'See: spoke-backup restore --help' });
}
