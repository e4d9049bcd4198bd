import type { BackupLabel, BaseBackup, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import { lsnOf } from '../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../src/domain/postgres/system-identifier.ts';
import { planRetention } from '../../src/domain/retention/plan-retention.ts';
import type { RetentionFacts, RetentionPlan } from '../../src/domain/retention/policy.ts';
import { instantOfSeconds, type Instant } from '../../src/domain/time/instant.ts';
import { ownExpiryOf } from '../unit/domain/retention/world.ts';
import { DAY, HOUR } from './daemon-stories.ts';
import type { DaemonWorld, StoredBackup } from './daemon-world.ts';

/** Whether the server has a clock of its own, which is right, or that of the machine on which the daemon is. */
export type ServerClock = 'right' | 'of the machine';

/** What clocks may differ by before one of them is doubted, as docs/retention.md has it. */
const DOUBTED_SECONDS = HOUR;
/** Two full backups are missed before then, whatever else befalls the cluster. */
const LONG_WITHOUT_BACKUP_SECONDS = 3 * DAY;
const SYSTEM = parseSystemIdentifier('7300000000000000001');

/** What was ever taken into a repository, and what the clocks have shown. */
interface Past {
  readonly backups: Map<StoredBackup, BaseBackup>;
  readonly fulls: StoredBackup[];
  chain: readonly BackupLabel[];
  /** True seconds: no promise is made of what was before. */
  promisedFrom: number;
  /** By how much backups seem older than they are, at most. */
  behindSeconds: number;
}

/** Expires as the policy decides, and sees to it that nothing is lost by it. */
export class RetentionKeeper {
  /** How many backups went, in all repositories. */
  expired = 0;
  readonly #days: (repository: RepositoryName) => number;
  readonly #clock: ServerClock;
  readonly #pasts = new Map<RepositoryName, Past>();

  constructor(days: (repository: RepositoryName) => number, clock: ServerClock) {
    this.#days = days;
    this.#clock = clock;
  }

  expire(repository: RepositoryName, world: DaemonWorld): void {
    const before = world.backups.get(repository) ?? [];
    const past = this.#pastOf(repository, before);
    const plan = planRetention(
      { days: this.#days(repository), requireVerified: false, maxSharePercent: 50 },
      this.#factsOf(repository, before, past, world),
    );
    const kept = before.filter((_one, index) => plan.backups[index]?.decision === 'keep');
    this.#promise(repository, past, world);
    expectLittleGone(before, kept, plan, world, this.#clock);
    before.splice(0, Infinity, ...kept);
    this.expired += plan.backups.length - kept.length;
    this.expectRecoverable(repository, world);
  }

  /** Whether all is there that has to be, whatever happened before. */
  expectRecoverable(repository: RepositoryName, world: DaemonWorld): void {
    const kept = world.backups.get(repository) ?? [];
    const past = this.#pastOf(repository, kept);
    this.#promise(repository, past, world);
    const labels = new Set(kept.map((one) => past.backups.get(one)?.label));
    const all = [...past.backups];
    const fail = (what: string) => {
      throw new Error(`${what} (${repository}, day ${((world.now - world.options.start) / DAY).toFixed(2)})`);
    };
    for (const one of kept)
      for (const needed of past.backups.get(one)?.references ?? [])
        if (!labels.has(needed)) fail(`${past.backups.get(one)?.label} is kept, and ${needed}, which it needs, is gone`);
    const newest = past.fulls.at(-1);
    if (newest === undefined) return;
    const ofNewest = all.slice(all.findIndex(([one]) => one === newest));
    const lost = ofNewest.find(([, { label }]) => !labels.has(label));
    if (lost !== undefined) fail(`${lost[1].label} is gone, which is or needs the newest full backup`);
    // From before the promise the newest will do; where all came later, every instant since the first one is promised.
    const ends = past.fulls.map(({ trueEnd }) => trueEnd);
    const latest = Math.max(Math.min(...ends), past.promisedFrom);
    if (!kept.some((one) => past.fulls.includes(one) && one.trueEnd <= latest))
      fail(`day ${((latest - world.options.start) / DAY).toFixed(2)} cannot be recovered any more`);
  }

  /** The window ends with what the clock made of it: where it is the only one, a backup is as old as it says. */
  #promise(repository: RepositoryName, past: Past, world: DaemonWorld): void {
    const isTrusted = this.#clock === 'of the machine' || Math.abs(world.aheadSeconds) <= DOUBTED_SECONDS;
    const wrongSeconds = isTrusted ? Math.max(0, world.aheadSeconds) + past.behindSeconds : 0;
    past.promisedFrom = Math.max(past.promisedFrom, world.now + wrongSeconds - this.#days(repository) * DAY);
  }

  #factsOf(repository: RepositoryName, stored: readonly StoredBackup[], past: Past, world: DaemonWorld): RetentionFacts {
    const backups = stored.map((one) => past.backups.get(one) as BaseBackup);
    const now = world.clock();
    const failedAt = world.failedAt.get(repository);
    const identity = { systemIdentifier: SYSTEM, postgresMajor: 15 };
    return {
      snapshot: { repository, kind: repository === 's3' ? 's3' : 'local', readAt: now, initialised: true, ...identity, backups },
      now,
      pins: [],
      verdicts: [],
      ...(failedAt === undefined ? {} : { backupFailedAt: failedAt }),
      clocks: [{ whose: 'the server', aheadSeconds: this.#clock === 'right' ? -world.aheadSeconds : 0 }],
      own: ownExpiryOf(backups, this.#days(repository), now),
      confirmed: false,
    };
  }

  /** Notes what has come since. */
  #pastOf(repository: RepositoryName, stored: readonly StoredBackup[]): Past {
    const none: Past = { backups: new Map(), fulls: [], chain: [], promisedFrom: -Infinity, behindSeconds: 0 };
    const past = this.#pasts.get(repository) ?? none;
    this.#pasts.set(repository, past);
    for (const one of stored) {
      if (past.backups.has(one)) continue;
      const backup = this.#baseBackupOf(one, repository, past.chain);
      past.backups.set(one, backup);
      past.chain = [...backup.references, backup.label];
      if (backup.type !== 'full') continue;
      past.fulls.push(one);
      // Times that contradict each other are seen through.
      if (backup.startTime <= backup.stopTime) past.behindSeconds = Math.max(past.behindSeconds, one.trueEnd - secondsOf(backup.stopTime));
    }
    return past;
  }

  /** As pgBackRest makes them: without a full backup the first one is full, and others need it and all that came after it. */
  #baseBackupOf(one: StoredBackup, repository: RepositoryName, chain: readonly BackupLabel[]): BaseBackup {
    const isFull = one.type === 'full' || chain.length === 0;
    const [startTime, stopTime]: readonly Instant[] =
      this.#clock === 'right' ? [instantOfSeconds(one.trueStart), instantOfSeconds(one.trueEnd)] : [one.copiedFrom, one.endedAt];
    if (startTime === undefined || stopTime === undefined) throw new Error('unreachable');
    const name = String(secondsOf(startTime)).padStart(12, '0');
    return {
      label: (isFull ? `${name}F` : `${chain[0]}_${name}I`) as BackupLabel,
      type: isFull ? 'full' : 'incr',
      repository,
      ...(isFull ? {} : { prior: chain.at(-1) as BackupLabel }),
      references: isFull ? [] : chain,
      systemIdentifier: SYSTEM,
      postgresMajor: 15,
      timeline: one.timeline,
      startLsn: lsnOf(BigInt(one.trueStart) << 20n),
      stopLsn: lsnOf(BigInt(one.trueEnd) << 20n),
      startTime,
      stopTime,
      databaseBytes: 1_000_000_000n,
      repositoryBytes: 300_000_000n,
      hasPageErrors: false,
      annotations: {},
    };
  }
}

/** Not when no backup comes, not by a clock that is known to be wrong, and never much at once. */
function expectLittleGone(
  before: readonly StoredBackup[],
  kept: readonly StoredBackup[],
  { repository, holds }: RetentionPlan,
  world: DaemonWorld,
  clock: ServerClock,
): void {
  const gone = before.length - kept.length;
  if (gone === 0) return;
  const where = `in ${repository}, day ${((world.now - world.options.start) / DAY).toFixed(2)}, holds ${holds.length}`;
  if (gone * 2 > before.length) throw new Error(`${gone} of ${before.length} went at once ${where}`);
  // A backup of the future looks like a young one until its time has come.
  if (clock === 'of the machine') return;
  if (Math.abs(world.aheadSeconds) > DOUBTED_SECONDS)
    throw new Error(`${gone} went though the clock was ${world.aheadSeconds} s ahead ${where}`);
  const newest = before.at(-1)?.trueEnd ?? 0;
  if (world.now - newest > LONG_WITHOUT_BACKUP_SECONDS) throw new Error(`${gone} went though no backup had come for days ${where}`);
}

function secondsOf(instant: Instant): number {
  return Number(instant / 1_000_000n);
}
