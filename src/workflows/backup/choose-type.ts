import type { BackupLabel, BackupType, BaseBackup } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import type { Verdict } from '../../domain/retention/policy.ts';
import { assessSoundness } from '../../domain/retention/soundness.ts';
import type { EngineVersion } from '../../ports/backup-engine.ts';
import type { ServerObservation } from '../../ports/postgres-server.ts';

/** What an incremental that is asked for becomes where the engine takes none of this PostgreSQL. */
export type WithoutIncremental = 'full' | 'nothing';

/** The backup that a repository gets, and why it is of that type. */
export interface ChosenType {
  readonly type: BackupType | 'nothing';
  readonly reason: string;
  /** The backup that it is relative to, as far as one can tell beforehand. */
  readonly prior?: BackupLabel;
}

/** The type of the next backup into a repository: as asked, or full where nothing else would do. */
export function chooseType(
  wanted: BackupType,
  { backups }: Pick<RepositorySnapshot, 'backups'>,
  version: EngineVersion | undefined,
  server: Pick<ServerObservation, 'postgresMajor' | 'timeline'>,
  { withoutIncremental, verdicts }: { readonly withoutIncremental: WithoutIncremental; readonly verdicts: readonly Verdict[] },
): ChosenType {
  if (wanted === 'full') return { type: 'full', reason: 'as asked' };
  const last = backups.at(-1);
  const lastFull = backups.findLast(({ type }) => type === 'full');
  if (last === undefined || lastFull === undefined)
    return { type: 'full', reason: `there is no full backup yet that ${article(wanted)} could build on` };
  const lacking = reasonWithoutIncremental(version, server.postgresMajor);
  if (lacking !== undefined) return { type: withoutIncremental, reason: lacking };
  if (version?.needsFullOnNewTimeline === true && last.timeline !== server.timeline)
    return { type: 'full', reason: `the last backup is of timeline ${last.timeline}, the server is on timeline ${server.timeline}` };
  const prior = wanted === 'diff' ? lastFull.label : last.label;
  const damage = reasonDamaged(prior, backups, verdicts);
  if (damage !== undefined) return { type: 'full', reason: `${damage}: nothing may be relative to it` };
  return { type: wanted, reason: 'as asked', prior };
}

/** Page checksum errors are of the database, and in a full backup as well: what is looked for is what was damaged since. */
function reasonDamaged(label: BackupLabel, backups: readonly BaseBackup[], verdicts: readonly Verdict[]): string | undefined {
  const asStored = backups.map((backup) => ({ ...backup, hasPageErrors: false }));
  const soundness = assessSoundness(asStored, verdicts, { requireVerified: false }).get(label);
  return soundness?.state === 'bad' ? soundness.why : undefined;
}

/** Why the engine takes no incrementals of that PostgreSQL; undefined where it does. */
export function reasonWithoutIncremental(version: EngineVersion | undefined, postgresMajor: number): string | undefined {
  const { incrementalsFrom, name } = version ?? {};
  if (incrementalsFrom === undefined || postgresMajor >= incrementalsFrom) return undefined;
  return `PostgreSQL ${postgresMajor} has no incremental backups of its own, which engine ${String(name)} needs (${incrementalsFrom} has)`;
}

function article(type: BackupType): string {
  return type === 'incr' ? 'an incremental' : type === 'diff' ? 'a differential' : 'a full';
}
