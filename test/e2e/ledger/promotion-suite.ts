import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger, type LedgerEntry } from '../../../scripts/ledger.ts';
import type { RestoreResult } from '../../../src/cli/render/restore.ts';
import { type Backup, type Engine, querySocket, type ServerAddress, until, urlOf, useLab } from '../../harness/lab.ts';
import { backUp, untilLaterSecond, untilNextSecond } from './backups.ts';
import { expectCopy, expectRows, timeOf } from './expect-restored.ts';
import { isoOf } from './targets.ts';

/** A copy of timeline 2 begins the first that is free, which is 3; so does one of timeline 1, since 2 is taken. */
const COPY_TIMELINE = 3;

/**
 * replica-1 is down while the primary commits, and archives, rows that it never sees. Then the primary goes down and
 * replica-1 is promoted: timeline 2 parts from timeline 1 before those rows.
 * The native engine takes a full there: a chain that crosses a timeline may lack blocks.
 */
export function describePromotion(engine: Engine): void {
  const theLab = useLab({ nodes: 2, engine, bundle: engine === 'pgbackrest' });
  let ledger: Ledger;
  /** On both timelines. */
  let shared: readonly LedgerEntry[];
  /** On timeline 1, after the fork. */
  let lost: readonly LedgerEntry[];
  /** On timeline 2, before its first backup and after it. */
  let promoted: readonly LedgerEntry[];
  let later: readonly LedgerEntry[];
  let full: readonly Backup[];
  let afterPromotion: readonly Backup[];

  async function commit(count: number): Promise<readonly LedgerEntry[]> {
    const first = ledger.entries.length;
    await ledger.commit(count);
    return ledger.entries.slice(first);
  }

  beforeAll(async () => {
    const lab = theLab();
    const [old, heir] = [lab.primary, lab.node('replica-1')];
    ledger = await Ledger.open(urlOf(old));
    await commit(3);
    full = await backUp(lab, ledger, 'full');
    await commit(4);
    // A backup tells which instants lie before it, and so before the fork.
    await untilNextSecond(ledger);
    await backUp(lab, ledger, lab.takesIncrementals ? 'incr' : 'full', '--repo', 'local');
    await commit(2);
    shared = [...ledger.entries];
    await untilReplayed(heir, ledger.last);
    await lab.stop(heir.dataDirectory);
    lost = await commit(2);
    await ledger.query('SELECT pg_switch_wal()');
    lost = [...lost, ...(await commit(2))];
    await lab.stop(old.dataDirectory);
    await lab.start(heir.dataDirectory);
    await querySocket(heir, 'SELECT pg_promote()');
    await ledger.moveTo(urlOf(heir));
    await lab.json('setup', 'archiving', '--confirm', 'lab');
    // Until when there is WAL of timeline 1 is told by when it came, and it may come late into a bucket.
    await untilLaterSecond(ledger);
    promoted = await commit(3);
    afterPromotion = await backUp(lab, ledger, lab.takesIncrementals ? 'incr' : 'full');
    later = await commit(4);
  }, 240_000);

  afterAll(() => ledger.close());

  async function untilReplayed(standby: ServerAddress, entry: LedgerEntry): Promise<void> {
    const statement = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS replayed';
    await until('the standby has it', async () => (await querySocket(standby, statement, [entry.lsnAfter]))[0]?.['replayed'] === true);
  }

  async function restored(argv: readonly string[], look: (result: RestoreResult) => Promise<void>): Promise<void> {
    const lab = theLab();
    const result = await lab.restore('copy', ...argv);
    try {
      await expectCopy(lab, result, 'copy');
      await look(result);
    } finally {
      await lab.remove(result);
    }
  }

  test('the archive follows the new primary into both repositories', async () => {
    for (const repository of ['local', 's3'] as const) {
      const files = await theLab().walFiles(repository);
      expect(files.some((name) => name.startsWith('00000002.history'))).toBe(true);
      expect(files.some((name) => /^00000002[0-9A-F]{16}[-.]/.test(name))).toBe(true);
    }
    expect(afterPromotion.map(({ repository, timeline }) => ({ repository, timeline }))).toEqual([
      { repository: 'local', timeline: 2 },
      { repository: 's3', timeline: 2 },
    ]);
  });

  describe('a restore', () => {
    test('to before the promotion brings what was there, from a backup of the old timeline', async () => {
      const target = shared[5]!;
      await restored(['--to', isoOf(target.committedMicros)], async (result) => {
        await expectRows(result, shared.slice(0, 6));
        expect(result.backup).toMatchObject({
          label: full.find((backup) => backup.repository === result.backup.repository)?.label,
          type: 'full',
        });
        expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 1 });
        expect(result.timeline).toBe(COPY_TIMELINE);
      });
    });

    test('to after the promotion, from a backup before it, replays across the fork and leaves out what the new primary never saw', async () => {
      const target = promoted[1]!;
      const { label } = full.find((backup) => backup.repository === 's3')!;
      const argv = ['--to', isoOf(target.committedMicros), '--repo', 's3', '--set', label];
      await restored(argv, async (result) => {
        await expectRows(result, [...shared, ...promoted.slice(0, 2)]);
        expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 2 });
        expect(result.timeline).toBe(COPY_TIMELINE);
      });
    });

    test('to after the promotion begins from the backup of the new primary', async () => {
      const target = later[2]!;
      await restored(['--to', isoOf(target.committedMicros), '--exclusive', '--repo', 'local'], async (result) => {
        await expectRows(result, [...shared, ...promoted, ...later.slice(0, 2)]);
        expect(result.backup).toEqual({
          label: afterPromotion[0]!.label,
          repository: 'local',
          type: engine === 'native' ? 'full' : 'incr',
        });
        expect(result.reached).toMatchObject({ time: timeOf(later[1]), timeline: 2 });
      });
    });

    test('to latest brings every row that the new primary acknowledged', async () => {
      await restored(['--to', 'latest', '--timeline', 'latest'], async (result) => {
        await expectRows(result, [...shared, ...promoted, ...later]);
        expect(result.reached.timeline).toBe(2);
        expect(result.timeline).toBe(COPY_TIMELINE);
      });
    });

    test('along timeline 1 brings the rows that only the old primary had', async () => {
      await restored(['--to', 'latest', '--timeline', '1'], async (result) => {
        await expectRows(result, [...shared, ...lost]);
        expect(result.reached).toMatchObject({ time: timeOf(lost.at(-1)), timeline: 1 });
        expect(result.timeline).toBe(COPY_TIMELINE);
      });
    });

    test('to a transaction finds it on the timeline that is named, where both have one of that number', async () => {
      const target = lost[1]!;
      expect(promoted.map((entry) => entry.xid)).toContain(target.xid);
      await restored(['--to-xid', target.xid, '--timeline', '1', '--repo', 'local'], async (result) => {
        await expectRows(result, [...shared, ...lost.slice(0, 2)]);
        expect(result.reached).toMatchObject({ time: timeOf(target), xid: target.xid, timeline: 1 });
      });
    });
  });

  describe('an instant at which both timelines have a history', () => {
    test('is refused until one is named, with both in the message', async () => {
      const lab = theLab();
      const instant = isoOf(lost[2]!.committedMicros);
      const error = await lab.error('restore', '--to', instant, '--data-directory', `${lab.directory}/copy`);
      expect(error).toMatchObject({ code: 'TARGET_TIMELINE', exitCode: 13 });
      expect(error.hint).toContain('--timeline 1');
      expect(error.hint).toContain('--timeline 2');
    });

    test('brings the rows of the timeline that is named', async () => {
      const instant = isoOf(lost[2]!.committedMicros);
      await restored(['--to', instant, '--timeline', '1'], async (result) => {
        await expectRows(result, [...shared, ...lost.slice(0, 3)]);
        expect(result.reached).toMatchObject({ time: timeOf(lost[2]), timeline: 1 });
      });
      await restored(['--to', instant, '--timeline', '2'], async (result) => {
        await expectRows(result, shared);
        expect(result.reached.time).toBe(timeOf(shared.at(-1)));
      });
    });
  });
}
