import type { BackupLabel, RepositoryName } from '../catalog/base-backup.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { BackupRecord } from './backup-record.ts';
import type { Manifest } from './manifest.ts';

/** The first major version that has incremental backups. */
export const FIRST_INCREMENTAL_MAJOR = 17;

/**
 * The most backups that hang together, the full one among them. A restore stages and checks every one of them, so that this is a bound on
 * the work and the space of a restore and no policy: two days of a backup an hour and a little more. How often there is a full one is what
 * schedules say.
 */
export const MAX_CHAIN_LENGTH = 50;

/** The server that a backup is taken from, as far as a chain depends on it. */
export interface ChainServer {
  readonly postgresMajor: number;
  readonly systemIdentifier: SystemIdentifier;
  readonly inRecovery: boolean;
  readonly timeline: TimelineId;
  readonly lsn?: Lsn;
  readonly walSegmentSizeBytes: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** The finished backups of one repository that the backup goes into. */
export interface Holdings {
  readonly repository: RepositoryName;
  /** Oldest first. */
  readonly records: readonly BackupRecord[];
}

export interface BackupChain {
  readonly prior: BackupRecord;
  /** Of the new backup: all that it needs, oldest first, `prior` last. */
  readonly references: readonly BackupLabel[];
}

/** What an incremental backup is relative to, or why there can be none. */
export type ChainDecision = { readonly kind: 'full'; readonly reason: string } | { readonly kind: 'incr'; readonly chain: BackupChain };

/**
 * Decides by the catalogue and the server's state. An `incr` is relative to the newest backup that every repository has, a `diff` to the
 * newest full one. Whatever speaks against that one backup makes a full one: an older one that would do is not looked for, since what is
 * amiss (another timeline, other checksums) is amiss with the older ones as well, and a full backup is what mends it.
 */
export function decideChain(type: 'incr' | 'diff', server: ChainServer, holdings: readonly Holdings[]): ChainDecision {
  const full = (reason: string): ChainDecision => ({ kind: 'full', reason });
  const unable = reasonServerCannot(server);
  if (unable !== undefined) return full(unable);
  const prior = newestInAll(type, holdings);
  if (prior === undefined) return full(withoutPrior(type, holdings));
  const against = reasonAgainst(prior, server) ?? holdings.map((one) => reasonChainIsBroken(prior, one)).find((why) => why !== undefined);
  if (against !== undefined) return full(against);
  return { kind: 'incr', chain: { prior, references: [...prior.references, prior.label] } };
}

/** Why a server gives no incremental backup at all; undefined where it may. */
export function reasonServerCannot({ postgresMajor, inRecovery, settings }: ChainServer): string | undefined {
  if (postgresMajor < FIRST_INCREMENTAL_MAJOR)
    return `PostgreSQL ${postgresMajor} has no incremental backups; ${FIRST_INCREMENTAL_MAJOR} and later have`;
  // A standby summarizes WAL before it replays it, and after a promotion may have summarized what never came to be.
  if (inRecovery) return 'an incremental backup is taken from a primary only';
  if (settings['wal_level'] === 'minimal') return 'with wal_level=minimal WAL is not summarized';
  if (settings['summarize_wal'] !== 'on') return 'summarize_wal is off';
  return undefined;
}

/**
 * Why a prior and the server are of different pasts, though both are on one timeline: two servers that were promoted apart from each other
 * may both have called theirs the same. Timeline 1 has no history.
 */
export function reasonHistoriesDiffer(
  timeline: TimelineId,
  ofServer: TimelineHistory | undefined,
  ofRepository: TimelineHistory | undefined,
): string | undefined {
  if (timeline === 1) return undefined;
  if (ofServer === undefined) return `the server does not show the history of timeline ${timeline}`;
  if (ofRepository === undefined) return `the history of timeline ${timeline} is not in the archive`;
  const [server, repository] = [ofServer, ofRepository].map(({ ancestors }) =>
    ancestors.map((fork) => `${fork.timeline} to ${formatLsn(fork.switchLsn)}`).join(', '),
  );
  return server === repository
    ? undefined
    : `timeline ${timeline} of the server is another one than that of the archive: ${server}, and there ${repository}`;
}

/** Why a manifest is not the one that a backup's record speaks of, or shows that nothing can be relative to it. */
export function reasonManifestUnfit({ label, ...record }: BackupRecord, manifest: Manifest): string | undefined {
  const [range, ...more] = manifest.walRanges;
  if (manifest.version < 2) return `the manifest of ${label} is of version ${manifest.version}, which names no system identifier`;
  if (manifest.systemIdentifier !== record.systemIdentifier)
    return `the manifest of ${label} names system identifier ${manifest.systemIdentifier}, its record ${record.systemIdentifier}`;
  if (range === undefined || more.length > 0) return `the server changed its timeline while ${label} was taken`;
  if (range.timeline !== record.timeline || range.startLsn !== record.startLsn)
    return `the manifest of ${label} begins at ${formatLsn(range.startLsn)} on timeline ${range.timeline}, its record at ${formatLsn(record.startLsn)} on timeline ${record.timeline}`;
  return undefined;
}

/** The same backup, in each repository. */
function newestInAll(type: 'incr' | 'diff', [first, ...others]: readonly Holdings[]): BackupRecord | undefined {
  const isWanted = (record: BackupRecord) => type === 'incr' || record.type === 'full';
  return first?.records.findLast((record) => isWanted(record) && others.every(({ records }) => records.some((one) => isSame(one, record))));
}

function isSame(one: BackupRecord, other: BackupRecord): boolean {
  return (
    one.label === other.label &&
    one.runId === other.runId &&
    one.startLsn === other.startLsn &&
    one.stopLsn === other.stopLsn &&
    one.timeline === other.timeline &&
    one.systemIdentifier === other.systemIdentifier
  );
}

function withoutPrior(type: 'incr' | 'diff', holdings: readonly Holdings[]): string {
  const empty = holdings.find(({ records }) => records.length === 0);
  if (empty !== undefined) return `repository ${empty.repository} has no backup yet that it could be relative to`;
  const kind = type === 'diff' ? 'full backup' : 'backup';
  const [only, ...more] = holdings;
  return more.length === 0
    ? `repository ${only?.repository} has no ${kind} yet that it could be relative to`
    : `no ${kind} is in each of the repositories ${holdings.map(({ repository }) => repository).join(', ')}`;
}

function reasonAgainst(prior: BackupRecord, server: ChainServer): string | undefined {
  const { label } = prior;
  if (prior.systemIdentifier !== server.systemIdentifier)
    return `${label} is of another cluster: its system identifier is ${prior.systemIdentifier}, that of the server ${server.systemIdentifier}`;
  if (prior.postgresMajor !== server.postgresMajor)
    return `${label} is of PostgreSQL ${prior.postgresMajor}, the server is ${server.postgresMajor}`;
  if (prior.walSegmentBytes !== server.walSegmentSizeBytes) return `${label} was taken with another size of WAL segments`;
  if (prior.timeline !== server.timeline)
    return `${label} is of timeline ${prior.timeline}, and the server is on ${server.timeline}: a chain never crosses a change of timeline`;
  if (server.lsn !== undefined && server.lsn < prior.stopLsn)
    return `${label} ends at ${formatLsn(prior.stopLsn)}, and the server is only at ${formatLsn(server.lsn)}: it was set back`;
  if (prior.dataChecksums !== (server.settings['data_checksums'] === 'on'))
    return `data checksums were switched ${prior.dataChecksums ? 'off' : 'on'} since ${label}`;
  if (prior.references.length + 1 >= MAX_CHAIN_LENGTH) return `${label} is the last of ${MAX_CHAIN_LENGTH} backups that hang together`;
  return undefined;
}

/** Every backup that the prior needs has to be there. */
function reasonChainIsBroken(prior: BackupRecord, { repository, records }: Holdings): string | undefined {
  const byLabel = new Map(records.map((record) => [record.label, record]));
  const members: BackupRecord[] = [];
  for (const label of [...prior.references, prior.label]) {
    const member = byLabel.get(label);
    if (member === undefined) return `${prior.label} needs ${label}, which is not in repository ${repository}`;
    members.push(member);
  }
  return reasonUnfitAsChain(members) ?? members.map(reasonUnfitAsPrior).find((why) => why !== undefined);
}

function reasonUnfitAsPrior({ label, hasPageErrors, source }: BackupRecord): string | undefined {
  if (hasPageErrors) return `${label} was stored with page checksum errors`;
  return source.inRecovery ? `${label} was taken from a standby` : undefined;
}

/**
 * Why these backups, oldest first, do not make one database: each but the first has to be relative to the one before it, all of them of one
 * cluster and one timeline. Undefined where they do.
 */
export function reasonUnfitAsChain(members: readonly BackupRecord[]): string | undefined {
  const last = members.at(-1);
  if (last === undefined) return 'there is no backup';
  const expected = members.slice(0, -1).map(({ label }) => label);
  if (expected.join() !== last.references.join())
    return `${last.label} needs ${last.references.join(', ')}, and not ${expected.join(', ')}`;
  let before: BackupRecord | undefined;
  for (const member of members) {
    const why = reasonUnfitAsMember(member, before, last);
    if (why !== undefined) return why;
    before = member;
  }
  return undefined;
}

function reasonUnfitAsMember(member: BackupRecord, before: BackupRecord | undefined, last: BackupRecord): string | undefined {
  const { label } = member;
  if (member.systemIdentifier !== last.systemIdentifier || member.postgresMajor !== last.postgresMajor)
    return `${label} is of another cluster than ${last.label}`;
  if (member.timeline !== last.timeline)
    return `${label} is of timeline ${member.timeline}, and ${last.label} of timeline ${last.timeline}`;
  if (member.dataChecksums !== last.dataChecksums) return `data checksums were switched between ${label} and ${last.label}`;
  if (before === undefined) return member.type === 'full' && member.prior === undefined ? undefined : `${label} is no full backup`;
  if (member.type !== 'incr' || member.prior !== before.label) return `${label} is not relative to ${before.label}`;
  return member.startLsn < before.startLsn ? `${label} begins before ${before.label}, which it is relative to` : undefined;
}
