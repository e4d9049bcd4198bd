import type { RestoreChoice } from '../../domain/recovery/choose-backup.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatInstantUtc } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { RestoreWorld } from './request.ts';

type Reach = Pick<RestoreWorld, 'choice' | 'repositories'>;

/** Why a target cannot be reached, with what is near it; undefined where it can be. Pure. */
export function reasonOutOfReach(reach: Reach): SpokeError | undefined {
  return withoutRepository(reach) ?? unreachableTarget(reach);
}

function withoutRepository({ repositories }: Reach): SpokeError | undefined {
  if (repositories.snapshots.length > 0) return undefined;
  const [first] = repositories.unreadable;
  const denied = first?.errorCode === 'REPOSITORY_DENIED';
  return new SpokeError(
    denied ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE',
    `no repository can be read: ${repositories.unreadable.map((one) => `${one.repository}: ${one.message}`).join('; ')}`,
    { details: { repositories: repositories.unreadable } },
  );
}

function unreachableTarget({ choice, repositories }: Reach): SpokeError | undefined {
  if (choice.kind === 'chosen') return undefined;
  const unread = repositories.unreadable.map((one) => one.repository);
  return new SpokeError(
    choice.code,
    unread.length === 0 ? choice.message : `${choice.message} (repository ${unread.join(', ')} could not be read)`,
    {
      details: { ...choice.details, nearest: choice.nearest.map(nearestToJson), unreadableRepositories: repositories.unreadable },
      ...hintOf(choice),
    },
  );
}

function nearestToJson(nearest: Extract<RestoreChoice, { kind: 'refused' }>['nearest'][number]): Record<string, string> {
  return {
    side: nearest.side,
    ...(nearest.time === undefined ? {} : { time: formatInstantUtc(nearest.time) }),
    ...(nearest.lsn === undefined ? {} : { lsn: formatLsn(nearest.lsn) }),
  };
}

function hintOf(choice: Extract<RestoreChoice, { kind: 'refused' }>): { hint: string } | Record<string, never> {
  const { timelines } = choice.details;
  if (Array.isArray(timelines)) return { hint: `Say which is meant: ${timelines.map((one) => `--timeline ${one}`).join(' or ')}` };
  const options = choice.nearest.flatMap(({ time, lsn }) =>
    time !== undefined ? [`--to "${formatInstantUtc(time)}"`] : lsn !== undefined ? [`--to-lsn ${formatLsn(lsn)}`] : [],
  );
  return options.length === 0 ? {} : { hint: `The nearest that can be reached: ${options.join(' or ')}` };
}
