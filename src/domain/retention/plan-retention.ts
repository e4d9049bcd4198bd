import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import { formatInstantUtc, type Instant } from '../time/instant.ts';
import { findBase, findOwnBase, windowStart } from './base.ts';
import { type Chains, chainsOf, closureOf } from './chains.ts';
import { type HoldSubject, holdsOn } from './holds.ts';
import { formatUntil, isActive, type Pin } from './pin.ts';
import type { BackupDecision, Hold, RetentionFacts, RetentionPlan, RetentionPolicy } from './policy.ts';
import { decideWal, type WalSubject } from './decide-wal.ts';
import { assessSoundness, type Soundness } from './soundness.ts';

type Why = Pick<BackupDecision, 'decision' | 'rule' | 'reason'>;

/**
 * What of one repository is kept and what goes, each with its reason. The days decide as pgBackRest has them decide; pins, what is
 * wrong with newer backups, doubts about the clock and differences from the engine's own plan can only keep more. The newest
 * sound full backup with all that depends on it never goes, since a backup goes only where a newer sound full one takes its place.
 */
export function planRetention(policy: RetentionPolicy, facts: RetentionFacts): RetentionPlan {
  const { snapshot } = facts;
  const start = windowStart(facts.now, policy.days);
  const chains = chainsOf(snapshot.backups);
  const soundness = assessSoundness(snapshot.backups, facts.verdicts, policy);
  const base = findBase(snapshot.backups, start, soundness);
  const wanted = byDays({ policy, facts, chains, start, soundness, base });
  const subject = { wanted, facts, base, ownBase: findOwnBase(snapshot.backups, start), chains };
  const wal = decideWal(walSubject(subject, wanted, []));
  const takesSomething = [...wanted, ...wal.decisions].some(({ decision }) => decision === 'expire');
  const holds = takesSomething ? holdsOn(policy, facts, holdSubject(wanted, start, soundness, base)) : [];
  const backups = holds.length > 0 ? wanted.map((one) => held(one, holds)) : withoutDifferences(subject);
  const decided = decideWal(walSubject(subject, backups, holds));
  return {
    repository: snapshot.repository,
    backups,
    wal: decided.decisions,
    ...(decided.floor === undefined ? {} : { walFloor: decided.floor }),
    holds,
    differences: [...differencesOf(subject, backups), ...decided.differences],
  };
}

interface DaysSubject {
  readonly policy: RetentionPolicy;
  readonly facts: RetentionFacts;
  readonly chains: Chains;
  readonly start: Instant;
  readonly soundness: ReadonlyMap<BackupLabel, Soundness>;
  readonly base: BaseBackup | undefined;
}

/** By the days and the pins alone. */
function byDays(subject: DaysSubject): readonly BackupDecision[] {
  const { facts, chains, base } = subject;
  const places = new Map(facts.snapshot.backups.map(({ label }, index) => [label, index]));
  const first = base === undefined ? 0 : (places.get(base.label) ?? 0);
  const pinned = pinnedBackups(facts, chains);
  return facts.snapshot.backups.map((backup): BackupDecision => {
    const root = chains.rootOf.get(backup.label);
    // Of a chain with a hole nothing is known: it stays.
    const isNeeded = root === undefined || (places.get(root) ?? 0) >= first;
    const why = isNeeded ? whyNeeded(backup, root, subject) : (pinned.get(backup.label) ?? whyGone(subject));
    return { backup, ...why };
  });
}

function pinnedBackups({ pins, now }: RetentionFacts, chains: Chains): ReadonlyMap<BackupLabel, Why> {
  const pinned = new Map<BackupLabel, Why>();
  const active = pins.filter((pin) => isActive(pin, now));
  for (const { label } of active)
    for (const needed of closureOf(label, chains)) pinned.set(needed, keep('pin-needs', `the pinned ${label} needs it`));
  for (const pin of active) pinned.set(pin.label, keep('pinned', `pinned ${describeEnd(pin)}: ${pin.reason}`));
  return pinned;
}

function describeEnd({ until }: Pin): string {
  return until === 'forever' ? until : `until ${formatUntil(until)}`;
}

function whyNeeded({ label, stopTime }: BaseBackup, root: BackupLabel | undefined, { policy, start, base }: DaysSubject): Why {
  if (stopTime >= start) return keep('window', `finished within the last ${policy.days} days`);
  if (label === base?.label)
    return keep('base', `every instant of the last ${policy.days} days is recovered from it or a newer one, and none newer is old enough`);
  if (base === undefined) return keep('needed', `no newer sound full backup is older than ${policy.days} days`);
  return root === base.label ? keep('needed', `belongs to ${base.label}`) : keep('needed', `newer than ${base.label}, which is needed`);
}

function whyGone({ policy, base }: DaysSubject): Why {
  const at = base === undefined ? '' : ` (finished ${formatInstantUtc(base.stopTime, { fraction: 'none' })})`;
  const reason = `every instant of the last ${policy.days} days is recovered from ${base?.label ?? ''}${at} or a newer one`;
  return { decision: 'expire', rule: 'past-window', reason };
}

function keep(rule: BackupDecision['rule'], reason: string): Why {
  return { decision: 'keep', rule, reason };
}

function holdSubject(
  wanted: readonly BackupDecision[],
  start: Instant,
  soundness: ReadonlyMap<BackupLabel, Soundness>,
  base: BaseBackup | undefined,
): HoldSubject {
  const from = base === undefined ? 0 : wanted.findIndex(({ backup }) => backup.label === base.label);
  return {
    start,
    soundness,
    kept: wanted.slice(from).map(({ backup }) => backup),
    expiring: wanted.filter(({ decision }) => decision === 'expire').length,
    total: wanted.length,
  };
}

function held(one: BackupDecision, holds: readonly Hold[]): BackupDecision {
  const [first] = holds;
  return one.decision === 'keep' || first === undefined ? one : { ...one, ...keep('held', first.reason) };
}

interface ComparisonSubject {
  readonly wanted: readonly BackupDecision[];
  readonly facts: RetentionFacts;
  readonly base: BaseBackup | undefined;
  readonly ownBase: BaseBackup | undefined;
  readonly chains: Chains;
}

/** What the engine would keep stays, with all that it needs. */
function withoutDifferences({ wanted, facts, chains }: ComparisonSubject): readonly BackupDecision[] {
  if ('unavailable' in facts.own) return wanted;
  const own = new Set(facts.own.backups);
  const differing = wanted.filter(({ decision, backup }) => decision === 'expire' && !own.has(backup.label));
  if (differing.length === 0) return wanted;
  const staying = new Set(differing.flatMap(({ backup }) => [...closureOf(backup.label, chains)]));
  return wanted.map((one) =>
    one.decision === 'expire' && staying.has(one.backup.label) ? { ...one, ...keep('difference', 'the engine itself would keep it') } : one,
  );
}

/** Both ways; what pins, holds and the soundness of backups explain is none. */
function differencesOf({ facts, base, ownBase }: ComparisonSubject, backups: readonly BackupDecision[]): readonly string[] {
  if ('unavailable' in facts.own) return [];
  const own = new Set(facts.own.backups);
  const isSameBase = base?.label === ownBase?.label;
  return backups.flatMap(({ backup: { label, stopTime }, decision, rule }) => {
    if (rule === 'difference' && !own.has(label))
      return [`${label} would expire by the days, but the engine itself would keep it: it stays`];
    const isUnexplained = rule === 'window' || (isSameBase && (rule === 'base' || rule === 'needed'));
    if (decision === 'expire' || !own.has(label) || !isUnexplained) return [];
    return [`the engine itself would expire ${label} (finished ${formatInstantUtc(stopTime)}), which is needed: it stays`];
  });
}

function walSubject({ facts, base, ownBase }: ComparisonSubject, backups: readonly BackupDecision[], holds: readonly Hold[]): WalSubject {
  return {
    snapshot: facts.snapshot,
    backups,
    base,
    holds,
    ownFloors: 'unavailable' in facts.own || base?.label !== ownBase?.label ? [] : facts.own.walFloors,
  };
}
