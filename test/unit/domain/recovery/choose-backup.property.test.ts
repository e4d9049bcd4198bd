import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BaseBackup } from '../../../../src/domain/catalog/base-backup.ts';
import { lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { type TimelineHistory } from '../../../../src/domain/postgres/timeline-history.ts';
import { chooseBackup, type RestoreChoice, type RestoreChoiceRequest } from '../../../../src/domain/recovery/choose-backup.ts';
import { recoveryWindows } from '../../../../src/domain/recovery/window.ts';
import type { RecoveryTarget } from '../../../../src/domain/recovery/target.ts';
import { at, backup, replayByBruteForce, SEGMENT_SIZE_BYTES, segments, snapshot, timelineByBruteForce, tli } from './world.ts';

const SIZE = BigInt(SEGMENT_SIZE_BYTES);
const SEGMENTS = 24;
const NOW = at(1000);

interface World {
  readonly histories: readonly TimelineHistory[];
  readonly present: ReadonlySet<string>;
  readonly backups: readonly BaseBackup[];
  readonly live: { readonly segment: number; readonly timeline: number } | undefined;
}

/** Up to four timelines, each forked off any earlier one anywhere; a few segments missing; backups wherever. */
const world: fc.Arbitrary<World> = fc
  .record({
    forks: fc.array(fc.record({ parent: fc.nat({ max: 10 }), at: fc.bigInt({ min: 1n, max: BigInt(SEGMENTS) * SIZE }) }), { maxLength: 3 }),
    missing: fc.array(fc.record({ timeline: fc.integer({ min: 1, max: 4 }), segment: fc.nat({ max: SEGMENTS }) }), { maxLength: 12 }),
    backups: fc.uniqueArray(
      fc.record({
        segment: fc.nat({ max: SEGMENTS - 2 }),
        length: fc.nat({ max: 2 }),
        timeline: fc.nat({ max: 10 }),
        isOrphan: fc.boolean(),
        hasPageErrors: fc.integer({ min: 0, max: 4 }).map((one) => one === 0),
      }),
      { maxLength: 6, selector: ({ segment }) => segment },
    ),
    live: fc.option(
      fc.record({
        segment: fc.oneof(fc.constant(SEGMENTS), fc.integer({ min: SEGMENTS, max: SEGMENTS + 10 })),
        timeline: fc.nat({ max: 10 }),
      }),
      {
        nil: undefined,
      },
    ),
  })
  .map(({ forks, missing, backups, live }) => {
    const histories: TimelineHistory[] = [{ timeline: tli(1), ancestors: [] }];
    for (const fork of forks) {
      const parent = histories[fork.parent % histories.length] as TimelineHistory;
      const ancestors = [...parent.ancestors, { timeline: parent.timeline, switchLsn: lsnOf(fork.at), reason: '' }];
      histories.push({ timeline: tli(histories.length + 1), ancestors });
    }
    const gone = new Set(missing.map(({ timeline, segment }) => `${timeline}/${segment}`));
    const all = histories.flatMap(({ timeline }) => Array.from({ length: SEGMENTS }, (_, segment) => `${timeline}/${segment}`));
    return {
      histories,
      present: new Set(all.filter((one) => !gone.has(one))),
      backups: backups.map(({ segment, length, timeline, isOrphan, hasPageErrors }) =>
        backup(`at ${segment}`, segment, {
          length,
          timeline: 1 + (timeline % histories.length),
          hasPageErrors,
          ...(isOrphan && segment % 3 === 0 ? { references: ['gone'] } : {}),
        }),
      ),
      live: live === undefined ? undefined : { segment: live.segment, timeline: 1 + (live.timeline % histories.length) },
    };
  });

/** Micros after second 0, every other one at the edge of a second in which a segment came or a backup ended, often of the archive's last. */
const instant: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: 400_000_000n }),
  fc
    .record({
      segment: fc.oneof(fc.bigInt({ min: 1n, max: 40n }), fc.constant(BigInt(SEGMENTS))),
      beside: fc.constantFrom(-1n, 0n, 1n, 999_999n, 1_000_000n),
    })
    .map(({ segment, beside }) => segment * 10_000_000n + beside),
);

const target: fc.Arbitrary<RecoveryTarget> = fc.oneof(
  instant.map((micros) => ({ kind: 'time' as const, time: (at(0) + micros) as ReturnType<typeof at>, inclusive: true })),
  fc.bigInt({ min: 0n, max: BigInt(SEGMENTS + 12) * SIZE }).map((lsn) => ({ kind: 'lsn' as const, lsn: lsnOf(lsn), inclusive: true })),
  fc.constantFrom({ kind: 'latest' as const }, { kind: 'immediate' as const }, { kind: 'name' as const, name: 'x' }),
);

function choose(one: World, wanted: RecoveryTarget, timeline: RestoreChoiceRequest['timeline']): RestoreChoice {
  const wal = [...one.present].flatMap((name) => {
    const [id = 0, segment = 0] = name.split('/').map(Number);
    return segments(segment, segment, id);
  });
  const repository = snapshot({ backups: one.backups, wal, histories: one.histories.filter((history) => history.timeline > 1) });
  const liveEnd =
    one.live === undefined
      ? {}
      : { liveEnd: { lsn: lsnOf(BigInt(one.live.segment) * SIZE), timeline: tli(one.live.timeline), time: at(one.live.segment * 10) } };
  return chooseBackup([repository], { target: wanted, timeline, now: NOW, excluded: [], ...liveEnd });
}

/** Whether PostgreSQL, given this backup and this archive, would get to the target along the history, as far as one can know beforehand. */
function servesByBruteForce(one: World, history: TimelineHistory, candidate: BaseBackup, wanted: RecoveryTarget): boolean {
  if (candidate.references.length > 0) return false;
  const isOnWay =
    timelineByBruteForce(history, candidate.startLsn) === candidate.timeline &&
    timelineByBruteForce(history, candidate.stopLsn - 1n) === candidate.timeline;
  const { endLsn, lastHolder } = replayByBruteForce(one.present, history, candidate.startLsn);
  if (!isOnWay || endLsn < candidate.stopLsn || lastHolder === undefined) return false;
  if (wanted.kind === 'time' && wanted.time < candidate.stopTime + 1_000_000n) return false;
  if (wanted.kind === 'lsn' && wanted.lsn < candidate.stopLsn) return false;
  return reachesByBruteForce(one, history, endLsn, lastHolder, wanted);
}

function reachesByBruteForce(one: World, history: TimelineHistory, endLsn: bigint, lastHolder: number, wanted: RecoveryTarget): boolean {
  if (wanted.kind !== 'time' && wanted.kind !== 'lsn') return true;
  const live = liveReach(one, history, endLsn);
  if (wanted.kind === 'lsn') return wanted.lsn < endLsn || (live !== undefined && wanted.lsn <= live);
  const lastSegment = (endLsn - 1n) / SIZE;
  const archivedAt = at(Number(lastSegment) * 10 + 10);
  const isTold = !one.present.has(`${lastHolder}/${lastSegment + 1n}`);
  if (live !== undefined && one.live !== undefined && wanted.time <= at(one.live.segment * 10)) return true;
  // Noted in whole seconds, cut off.
  return isTold ? wanted.time < archivedAt + 1_000_000n : live === undefined;
}

/** The running primary's position, where nothing is missing on the way to what the archive has and it writes the timeline that is followed. */
function liveReach(one: World, history: TimelineHistory, endLsn: bigint): bigint | undefined {
  if (one.live === undefined || one.live.timeline !== history.timeline) return undefined;
  const liveLsn = BigInt(one.live.segment) * SIZE;
  if (timelineByBruteForce(history, liveLsn) !== history.timeline) return undefined;
  for (let segment = endLsn / SIZE; segment < 60n; segment++) {
    const holder = timelineByBruteForce(history, (segment + 1n) * SIZE - 1n);
    if (one.present.has(`${holder}/${segment}`)) return undefined;
  }
  return liveLsn;
}

describe('the choice of a backup, in any world', () => {
  it('is of exactly those with which PostgreSQL would get there', () => {
    fc.assert(
      fc.property(world, target, fc.nat({ max: 10 }), (one, wanted, pick) => {
        const history = one.histories[pick % one.histories.length] as TimelineHistory;
        const choice = choose(one, wanted, history.timeline);
        const serving = one.backups.filter((candidate) => servesByBruteForce(one, history, candidate, wanted));
        const clean = serving.filter((candidate) => !candidate.hasPageErrors);
        const expected = (clean.length > 0 ? clean : serving).map((candidate) => candidate.label);
        const found = choice.kind === 'chosen' ? choice.candidates.map((candidate) => candidate.label) : [];
        expect(found.toSorted()).toEqual(expected.toSorted());
      }),
      { numRuns: 3000 },
    );
  });

  it('puts less WAL before more, and counts it in whole segments', () => {
    fc.assert(
      fc.property(world, target, (one, wanted) => {
        const choice = choose(one, wanted, 'latest');
        if (choice.kind === 'refused' || wanted.kind === 'latest') return;
        const bytes = choice.candidates.map((candidate) => candidate.walBytes);
        expect(bytes).toEqual(bytes.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)));
        for (const { segmentCount, walBytes } of choice.candidates) {
          expect(BigInt(segmentCount) * SIZE).toBeGreaterThanOrEqual(walBytes);
          expect(BigInt(segmentCount - 2) * SIZE).toBeLessThan(walBytes);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('along the latest timeline is the same as along the newest by its number, or refused as ambiguous', () => {
    fc.assert(
      fc.property(world, target, (one, wanted) => {
        const latest = choose(one, wanted, 'latest');
        const numbered = choose(one, wanted, tli(one.histories.length));
        if (latest.kind === 'refused' && latest.code === 'TARGET_TIMELINE') return;
        const told = (choice: RestoreChoice) =>
          choice.kind === 'chosen' ? choice.candidates.map((candidate) => candidate.label) : choice.code;
        expect(told(latest)).toEqual(told(numbered));
      }),
      { numRuns: 1000 },
    );
  });

  it('that is refused names only instants and positions that are accepted', () => {
    fc.assert(
      fc.property(world, target, fc.nat({ max: 10 }), (one, wanted, pick) => {
        const { timeline } = one.histories[pick % one.histories.length] as TimelineHistory;
        const choice = choose(one, wanted, timeline);
        if (choice.kind === 'chosen') return;
        expect(choice.message.length).toBeGreaterThan(20);
        for (const { time, lsn } of choice.nearest) {
          const near: RecoveryTarget =
            time !== undefined ? { kind: 'time', time, inclusive: true } : { kind: 'lsn', lsn: lsn ?? lsnOf(0n), inclusive: true };
          expect(choose(one, near, timeline).kind).toBe('chosen');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts every instant and position within the windows that are told', () => {
    fc.assert(
      fc.property(world, fc.double({ min: 0, max: 1, noNaN: true }), (one, share) => {
        const wal = [...one.present].flatMap((name) => {
          const [id = 0, segment = 0] = name.split('/').map(Number);
          return segments(segment, segment, id);
        });
        const repository = snapshot({ backups: one.backups, wal, histories: one.histories.filter((history) => history.timeline > 1) });
        for (const window of recoveryWindows(repository).windows) {
          const lsn = lsnOf(window.fromLsn + BigInt(Math.floor(Number(window.toLsn - window.fromLsn - 1n) * share)));
          const ask = (wanted: RecoveryTarget) =>
            chooseBackup([repository], { target: wanted, timeline: window.timeline, now: NOW, excluded: [] }).kind;
          expect(ask({ kind: 'lsn', lsn, inclusive: true })).toBe('chosen');
          if (window.to === undefined || window.to === window.from) continue;
          const time = (window.from + BigInt(Math.floor(Number(window.to - window.from) * share))) as typeof window.from;
          expect(ask({ kind: 'time', time, inclusive: true })).toBe('chosen');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
