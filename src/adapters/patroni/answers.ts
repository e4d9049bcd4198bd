import type { PatroniHistoryEntry, PatroniMember, PatroniMemberState, PatroniRole } from '../../domain/patroni/view.ts';
import type { Lsn } from '../../domain/postgres/lsn.ts';
import type { TimelineId } from '../../domain/postgres/timeline.ts';
import { SpokeError } from '../../errors.ts';

type Json = Readonly<Record<string, unknown>>;

/** Roles as GET /cluster has them (Patroni, REST API); an unknown one is a standby like any other. */
const ROLES: Readonly<Record<string, PatroniRole>> = {
  leader: 'leader',
  master: 'leader',
  standby_leader: 'standby leader',
  sync_standby: 'sync standby',
  quorum_standby: 'sync standby',
};

/** GET /patroni of whichever member answers. */
export interface Greeting {
  readonly version: string;
  readonly scope: string;
  readonly paused: boolean;
}

export function greetingOf(text: string, url: string): Greeting {
  const answer = objectOf(text, url);
  const { version, scope } = recordOf(answer['patroni']);
  if (typeof version !== 'string' || typeof scope !== 'string') throw notPatroni(url);
  return { version, scope, paused: answer['pause'] === true };
}

/** GET /cluster. */
export function membersOf(text: string, url: string): { readonly members: readonly PatroniMember[]; readonly paused: boolean } {
  const answer = objectOf(text, url);
  const { members } = answer;
  if (!Array.isArray(members)) throw notPatroni(url);
  return { members: members.map((member) => memberOf(recordOf(member))), paused: answer['pause'] === true };
}

function memberOf(member: Json): PatroniMember {
  const { host, port, timeline, lag, api_url: apiUrl } = member;
  return {
    name: String(member['name']),
    role: ROLES[String(member['role'])] ?? 'replica',
    state: typeof member['state'] === 'string' && member['state'] !== '' ? member['state'] : 'unknown',
    ...(typeof host === 'string' ? { host } : {}),
    ...(typeof port === 'number' ? { port } : {}),
    ...(typeof apiUrl === 'string' && URL.canParse(apiUrl) ? { apiUrl: new URL(apiUrl).origin } : {}),
    ...(isCount(timeline) ? { timeline: timeline as TimelineId } : {}),
    ...(isCount(lag) ? { lagBytes: BigInt(lag) } : {}),
    pendingRestart: member['pending_restart'] === true,
  };
}

/** GET /patroni of one member. */
export function memberStateOf(name: string, text: string, url: string): PatroniMemberState {
  const answer = objectOf(text, url);
  const { state, timeline, postmaster_start_time: startedAt } = answer;
  const { location, replayed_location: replayed } = recordOf(answer['xlog']);
  const lsn = location ?? replayed;
  return {
    name,
    state: typeof state === 'string' ? state : 'unknown',
    paused: answer['pause'] === true,
    ...(isCount(timeline) && timeline > 0 ? { timeline: timeline as TimelineId } : {}),
    ...(typeof startedAt === 'string' ? { startedAt } : {}),
    ...(isCount(lsn) ? { lsn: BigInt(lsn) as Lsn } : {}),
    streamedBy: listOf(answer['replication']).flatMap((standby) =>
      standby['state'] === 'streaming' && typeof standby['application_name'] === 'string' ? [standby['application_name']] : [],
    ),
  };
}

/** GET /history: lines of [timeline, LSN, reason, instant?, new leader?]. */
export function historyOf(text: string, url: string): readonly PatroniHistoryEntry[] {
  const lines = parsed(text, url);
  if (!Array.isArray(lines)) throw notPatroni(url);
  return lines.flatMap((line: unknown): PatroniHistoryEntry[] => {
    if (!Array.isArray(line)) return [];
    const [timeline, lsn, reason, at, newLeader] = line as readonly unknown[];
    if (!isCount(timeline) || !isCount(lsn)) return [];
    return [
      {
        timeline: timeline as TimelineId,
        lsn: BigInt(lsn) as Lsn,
        reason: String(reason),
        ...(typeof at === 'string' ? { at } : {}),
        ...(typeof newLeader === 'string' ? { newLeader } : {}),
      },
    ];
  });
}

/** GET /config. */
export function configurationOf(text: string, url: string): Json {
  return objectOf(text, url);
}

function objectOf(text: string, url: string): Json {
  const value = parsed(text, url);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notPatroni(url);
  return value as Json;
}

function parsed(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notPatroni(url);
  }
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

function recordOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function notPatroni(url: string): SpokeError {
  return new SpokeError('PATRONI_UNAVAILABLE', `what answers at ${url} is not Patroni`, { details: { url } });
}
