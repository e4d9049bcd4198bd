import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { estimateRestoreSeconds } from '../../domain/recovery/estimate.ts';
import { formatForPostgres, formatInstantIso } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import { reasonOutOfReach } from '../../workflows/restore/out-of-reach.ts';
import { observeReach } from '../../workflows/restore/reach.ts';
import { observeWindows } from '../../workflows/window/window.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { instantOption } from '../instant-option.ts';
import { renderReachable, renderWindows, type Way, wayToJson, windowsNeedALook, windowsToJson } from '../render/window.ts';
import { openSession, repositoryNamed, type Session } from '../session.ts';
import { unreadableError } from '../unreadable.ts';

interface Options extends GlobalOptions {
  readonly repo?: string;
  readonly at?: string;
}

const COLUMNS = 100;

/** `spoke-backup window` */
export async function windowCommand(options: Options, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const repository = options.repo === undefined ? undefined : repositoryNamed(session.cluster, options.repo);
  if (options.at !== undefined) return answer(options.at, repository, session, context);
  const found = await observeWindows(session.cluster, repository, session.ports, { signal: context.signal });
  if (found.repositories.length === 0 && found.unreadable.length > 0) throw unreadableError(found.unreadable);
  if (windowsNeedALook(found)) context.output.exitCode = 3;
  const view = { timezone: session.configuration.timezone, columns: process.stdout.isTTY ? process.stdout.columns : COLUMNS };
  context.output.result({ cluster: session.cluster.name, ...windowsToJson(found) }, () => renderWindows(found, view));
}

/** Throws what a restore to that instant would throw. */
async function answer(
  at: string,
  repository: RepositoryName | undefined,
  session: Session,
  { signal, output }: CommandContext,
): Promise<void> {
  const { cluster, ports } = session;
  const { instant, echo } = await instantOption('--at', at, session);
  const request = { cluster, target: { kind: 'time', time: instant, inclusive: true }, timeline: 'latest' } as const;
  const reach = await observeReach({ ...request, ...(repository === undefined ? {} : { repository }) }, () => undefined, ports, { signal });
  const refusal = reasonOutOfReach(reach);
  if (refusal !== undefined) throw refusal;
  if (reach.choice.kind !== 'chosen') throw new SpokeError('INTERNAL', 'a target within reach has no backup');
  const kindOf = (name: string) => cluster.repositories.find((one) => one.name === name)?.kind ?? 's3';
  const ways = reach.choice.candidates.map((candidate): Way => {
    const { databaseBytes, stagedBytes } = candidate.backup;
    const bytes = databaseBytes + (stagedBytes ?? 0n);
    return { candidate, estimatedSeconds: estimateRestoreSeconds(kindOf(candidate.repository), bytes, candidate.walBytes) };
  });
  const next = `spoke-backup restore --to "${formatForPostgres(instant)}" --data-directory <path>`;
  output.result({ cluster: cluster.name, at: formatInstantIso(instant), reachable: true, ways: ways.map(wayToJson), next }, () =>
    renderReachable(echo, ways, next),
  );
}
