import { describe, expect, it } from 'vitest';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import {
  type ChoiceRefusal,
  chooseBackup,
  type RestoreChoice,
  type RestoreChoiceRequest,
} from '../../../../src/domain/recovery/choose-backup.ts';
import { addMicros, type Instant, instantOfMicros } from '../../../../src/domain/time/instant.ts';
import { at, backup, history, label, LOCAL, lsnIn, S3, segments, SEGMENT_SIZE_BYTES, snapshot, tli } from './world.ts';

const NOW = at(10_000);

function ask(snapshots: readonly RepositorySnapshot[], request: Partial<RestoreChoiceRequest>): RestoreChoice {
  return chooseBackup(snapshots, { target: { kind: 'latest' }, timeline: 'latest', now: NOW, excluded: [], ...request });
}

function toTime(time: Instant): Pick<RestoreChoiceRequest, 'target'> {
  return { target: { kind: 'time', time, inclusive: true } };
}

/** `repository/label` of each candidate, or the code of the refusal. */
function chosen(choice: RestoreChoice): readonly string[] | string {
  return choice.kind === 'chosen' ? choice.candidates.map((one) => `${one.repository}/${one.label}`) : choice.code;
}

function refused(choice: RestoreChoice): ChoiceRefusal {
  if (choice.kind === 'chosen') throw new Error(`chosen: ${choice.candidates.map((one) => one.label).join(', ')}`);
  return choice;
}

/** Backups A (segments 2-3, seconds 20-30) and B (6-7, 60-70), WAL of segments 1 to 11, archived until second 120. */
const plain = snapshot({ backups: [backup('A', 2), backup('B', 6)], wal: segments(1, 11) });

describe('a restore to a time', () => {
  it('uses the newest backup that ended before it, then the older ones', () => {
    expect(chosen(ask([plain], toTime(at(100))))).toEqual(['local/B', 'local/A']);
    expect(chosen(ask([plain], toTime(at(65))))).toEqual(['local/A']);
  });

  it('needs a backup that ended a whole second before, since its stop is noted without the fraction', () => {
    expect(chosen(ask([plain], toTime(at(71))))).toEqual(['local/B', 'local/A']);
    expect(chosen(ask([plain], toTime((at(71) - 1n) as Instant)))).toEqual(['local/A']);
    expect(chosen(ask([plain], toTime(at(70))))).toEqual(['local/A']);
  });

  it('between a backup’s start and stop uses the one before, or is refused with the first instant that can be had', () => {
    expect(chosen(ask([plain], toTime(at(66))))).toEqual(['local/A']);
    const choice = refused(ask([plain], toTime(at(25))));
    expect(choice).toMatchObject({ code: 'TARGET_BEFORE_WINDOW', nearest: [{ time: at(31), side: 'after' }] });
    expect(choice.message).toBe(
      '2026-11-22 12:00:25 UTC lies before the end of backup A, which ran from 2026-11-22 12:00:20 UTC to 2026-11-22 12:00:30 UTC, and no older one serves; after it the first that can be reached is 2026-11-22 12:00:31 UTC',
    );
  });

  it('before every backup is refused with the first instant that can be had', () => {
    expect(refused(ask([plain], toTime(at(5))))).toMatchObject({
      code: 'TARGET_BEFORE_WINDOW',
      nearest: [{ time: at(31), side: 'after' }],
      message:
        '2026-11-22 12:00:05 UTC lies before the end of the oldest backup that serves; after it the first that can be reached is 2026-11-22 12:00:31 UTC',
    });
  });

  it('in the future is refused with the latest that can be had', () => {
    expect(refused(ask([plain], toTime(at(10_001))))).toMatchObject({
      code: 'TARGET_IN_FUTURE',
      nearest: [{ time: at(120), side: 'before' }],
      message: '2026-11-22 14:46:41 UTC lies in the future (it is 2026-11-22 14:46:40 UTC now)',
    });
    expect(chosen(ask([], toTime(at(10_001))))).toBe('TARGET_IN_FUTURE');
  });

  it('is not in the future where the database server’s clock has passed it', () => {
    const liveEnd = { lsn: lsnIn(15), timeline: tli(1), time: at(10_002) };
    expect(chosen(ask([plain], { ...toTime(at(10_001)), liveEnd }))).toEqual(['local/B', 'local/A']);
  });

  it('after the end of the archive is refused with that end, unless the running primary has the rest', () => {
    expect(refused(ask([plain], toTime(at(121))))).toMatchObject({
      code: 'TARGET_AFTER_WINDOW',
      nearest: [{ time: at(120), side: 'before' }],
      message: '2026-11-22 12:02:01 UTC lies after the end of the archived WAL; before it recovery reaches 2026-11-22 12:02:00 UTC',
    });
    const liveEnd = { lsn: lsnIn(15, 500), timeline: tli(1), time: at(200) };
    const choice = ask([plain], { ...toTime(at(121)), liveEnd });
    expect(chosen(choice)).toEqual(['local/B', 'local/A']);
    expect(choice.kind === 'chosen' && choice.candidates[0]?.reasons).toContain('the WAL of the running primary is counted in');
    expect(chosen(ask([plain], { ...toTime(at(201)), liveEnd }))).toBe('TARGET_AFTER_WINDOW');
  });

  it('is accepted in all of the second in which the last segment was archived: it may hold that instant', () => {
    expect(chosen(ask([plain], toTime(addMicros(at(120), 999_999n))))).toEqual(['local/B', 'local/A']);
  });

  it('is accepted in all of that second also where the running primary was looked at within it: the archive was listed later', () => {
    const inItsSecond = addMicros(at(120), 1n);
    for (const time of [at(119), at(120)]) {
      const liveEnd = { lsn: lsnIn(12), timeline: tli(1), time };
      expect(chosen(ask([plain], { ...toTime(inItsSecond), liveEnd }))).toEqual(['local/B', 'local/A']);
      expect(chosen(ask([plain], { ...toTime(at(121)), liveEnd }))).toBe('TARGET_AFTER_WINDOW');
    }
  });

  it('is not helped by a primary that is on another timeline', () => {
    const liveEnd = { lsn: lsnIn(15), timeline: tli(2), time: at(200) };
    expect(chosen(ask([plain], { ...toTime(at(121)), liveEnd }))).toBe('TARGET_AFTER_WINDOW');
  });

  it('in a gap is refused with the instants on both sides, and is not helped by a running primary', () => {
    const gapped = snapshot({ backups: [backup('A', 2), backup('B', 9)], wal: [...segments(1, 5), ...segments(8, 12)] });
    const liveEnd = { lsn: lsnIn(20), timeline: tli(1), time: at(300) };
    for (const request of [toTime(at(75)), { ...toTime(at(75)), liveEnd }]) {
      const choice = refused(ask([gapped], request));
      expect(choice).toMatchObject({
        code: 'TARGET_IN_GAP',
        nearest: [
          { time: at(60), side: 'before' },
          { time: at(101), side: 'after' },
        ],
      });
      expect(choice.message).toBe(
        '2026-11-22 12:01:15 UTC lies in a gap of the archived WAL (segments 000000010000000000000006 to 000000010000000000000007 are missing); before it recovery reaches 2026-11-22 12:01:00 UTC; after it the first that can be reached is 2026-11-22 12:01:41 UTC',
      );
    }
    expect(chosen(ask([gapped], toTime(at(55))))).toEqual(['local/A']);
    expect(chosen(ask([gapped], toTime(at(110))))).toEqual(['local/B']);
  });

  it('names instants that it would itself accept', () => {
    const gapped = snapshot({ backups: [backup('A', 2), backup('B', 9)], wal: [...segments(1, 5), ...segments(8, 12)] });
    for (const second of [5, 25, 75, 95, 100, 500, 20_000]) {
      for (const { time } of refused(ask([gapped], toTime(at(second)))).nearest) {
        expect(time).toBeDefined();
        expect(ask([gapped], toTime(time ?? NOW)).kind).toBe('chosen');
      }
    }
  });

  it('counts no more WAL than up to the next backup that began after it', () => {
    const choice = ask([plain], toTime(at(50)));
    expect(choice).toMatchObject({ candidates: [{ label: 'A', segmentCount: 5, walBytes: 4n * BigInt(SEGMENT_SIZE_BYTES) }] });
  });

  it('goes ahead with a warning where the repository tells no times', () => {
    const choice = ask([snapshot({ backups: [backup('A', 2)], wal: segments(1, 11), withoutTimes: true })], toTime(at(5000)));
    expect(choice.kind === 'chosen' && choice.candidates[0]?.reasons.join()).toContain('does not tell how old its WAL is');
  });
});

describe('a restore to an LSN', () => {
  const toLsn = (lsn: ReturnType<typeof lsnIn>) => ({ target: { kind: 'lsn', lsn, inclusive: true } }) as const;

  it('may be to the very end of a backup, not before it', () => {
    expect(chosen(ask([plain], toLsn(lsnIn(7, 256))))).toEqual(['local/B', 'local/A']);
    expect(chosen(ask([plain], toLsn(lsnIn(7, 255))))).toEqual(['local/A']);
    expect(refused(ask([plain], toLsn(lsnIn(3, 255))))).toMatchObject({
      code: 'TARGET_BEFORE_WINDOW',
      nearest: [{ lsn: lsnIn(3, 256), side: 'after' }],
    });
  });

  it('must lie within the WAL that is there or that the running primary has', () => {
    expect(chosen(ask([plain], toLsn(lsnIn(11, 1_048_575))))).toEqual(['local/B', 'local/A']);
    expect(refused(ask([plain], toLsn(lsnIn(12))))).toMatchObject({
      code: 'TARGET_AFTER_WINDOW',
      nearest: [{ lsn: lsnIn(11, 1_048_575), side: 'before' }],
    });
    const liveEnd = { lsn: lsnIn(15, 500), timeline: tli(1), time: at(200) };
    expect(chosen(ask([plain], { ...toLsn(lsnIn(15, 500)), liveEnd }))).toEqual(['local/B', 'local/A']);
    expect(chosen(ask([plain], { ...toLsn(lsnIn(15, 501)), liveEnd }))).toBe('TARGET_AFTER_WINDOW');
  });

  it('counts the WAL up to there', () => {
    expect(ask([plain], toLsn(lsnIn(9)))).toMatchObject({
      candidates: [
        { label: 'B', segmentCount: 3 },
        { label: 'A', segmentCount: 7 },
      ],
    });
  });
});

describe('a restore to a transaction, a restore point or the end', () => {
  it('offers every backup, newest first, for what cannot be placed beforehand', () => {
    for (const target of [
      { kind: 'xid', xid: 730n, inclusive: true },
      { kind: 'name', name: 'x' },
    ] as const)
      expect(chosen(ask([plain], { target }))).toEqual(['local/B', 'local/A']);
  });

  it('to the first consistent state needs no WAL after the backup', () => {
    const short = snapshot({ backups: [backup('A', 2)], wal: segments(2, 3) });
    expect(ask([short], { target: { kind: 'immediate' } })).toMatchObject({ candidates: [{ label: 'A', segmentCount: 2 }] });
  });

  it('to the end prefers the repository whose WAL reaches furthest over the nearest backup', () => {
    const ahead = snapshot({ repository: S3, backups: [backup('C', 2)], wal: segments(1, 15) });
    expect(chosen(ask([plain, ahead], {}))).toEqual(['s3/C', 'local/B', 'local/A']);
    const liveEnd = { lsn: lsnIn(20), timeline: tli(1), time: at(300) };
    expect(chosen(ask([plain, ahead], { liveEnd }))).toEqual(['local/B', 's3/C', 'local/A']);
  });

  it('to the end says where recovery will end too early', () => {
    const gapped = snapshot({ backups: [backup('A', 2)], wal: [...segments(1, 5), ...segments(8, 12)] });
    const choice = ask([gapped], {});
    expect(choice.kind === 'chosen' && choice.candidates[0]?.reasons).toContain(
      'recovery will end before the end of the archive: segments 000000010000000000000006 to 000000010000000000000007 are missing',
    );
  });
});

describe('the order of the candidates', () => {
  it('puts the best of each repository before the older ones, and a local one first where they are equal', () => {
    const remote = snapshot({ repository: S3, backups: [backup('A3', 2), backup('B3', 6)], wal: segments(1, 11) });
    expect(chosen(ask([remote, plain], toTime(at(100))))).toEqual(['local/B', 's3/B3', 'local/A', 's3/A3']);
  });

  it('stays with the local repository where S3 would save little replay: its copy takes longer than that', () => {
    const remote = snapshot({ repository: S3, backups: [backup('A3', 2), backup('C3', 8)], wal: segments(1, 11) });
    expect(chosen(ask([plain, remote], toTime(at(100))))).toEqual(['local/B', 's3/C3', 'local/A', 's3/A3']);
  });

  it('puts S3 first where it saves more replay than its copy costs', () => {
    const wal = segments(1, 3000);
    const remote = snapshot({ repository: S3, backups: [backup('N3', 2900)], wal });
    const local = snapshot({ backups: [backup('A', 2)], wal });
    expect(chosen(ask([local, remote], {}))).toEqual(['s3/N3', 'local/A']);
  });

  it('keeps to the repository and the backup that are named', () => {
    const remote = snapshot({ repository: S3, backups: [backup('C3', 8)], wal: segments(1, 11) });
    expect(chosen(ask([plain, remote], { ...toTime(at(100)), repository: S3 }))).toEqual(['s3/C3']);
    expect(chosen(ask([plain, remote], { ...toTime(at(100)), label: label('A') }))).toEqual(['local/A']);
  });
});

describe('a backup that is not to be trusted', () => {
  it('with page errors serves only where no other does, or where it is named, and says so', () => {
    const wal = segments(1, 11);
    const both = snapshot({ backups: [backup('A', 2), backup('B', 6, { hasPageErrors: true })], wal });
    expect(chosen(ask([both], toTime(at(100))))).toEqual(['local/A']);
    expect(chosen(ask([both], { ...toTime(at(100)), label: label('B') }))).toEqual(['local/B']);
    const only = ask([snapshot({ backups: [backup('B', 6, { hasPageErrors: true })], wal })], toTime(at(100)));
    expect(only.kind === 'chosen' && only.candidates[0]?.reasons.join()).toContain('page checksum failures');
  });

  it('is left out where a member of its chain is gone', () => {
    const wal = segments(1, 11);
    const whole = snapshot({ backups: [backup('F', 2), backup('I', 6, { type: 'incr', references: ['F'] })], wal });
    expect(chosen(ask([whole], toTime(at(100))))).toEqual(['local/I', 'local/F']);
    const broken = snapshot({ backups: [backup('I', 6, { type: 'incr', references: ['F'] })], wal });
    expect(refused(ask([broken], toTime(at(100))))).toMatchObject({
      code: 'BACKUP_DAMAGED',
      message: 'no backup serves 2026-11-22 12:01:40 UTC: I in repository local needs F, which the repository no longer has',
    });
  });

  it('is left out where its own WAL is not there', () => {
    const without = snapshot({ backups: [backup('A', 2), backup('B', 6)], wal: [...segments(1, 6), ...segments(8, 11)] });
    expect(chosen(ask([without], toTime(at(65))))).toEqual(['local/A']);
    expect(chosen(ask([without], { target: { kind: 'immediate' } }))).toEqual(['local/A']);
    expect(refused(ask([without], { target: { kind: 'immediate' }, label: label('B') })).message).toContain(
      'lacks WAL between its own start and stop',
    );
  });

  it('is left out once it has failed; when all have, that is said', () => {
    const excluded = [{ repository: LOCAL, label: label('B') }];
    expect(chosen(ask([plain], { ...toTime(at(100)), excluded }))).toEqual(['local/A']);
    const all = [...excluded, { repository: LOCAL, label: label('A') }];
    expect(refused(ask([plain], { ...toTime(at(100)), excluded: all }))).toMatchObject({ code: 'BACKUP_DAMAGED' });
    expect(chosen(ask([plain], { ...toTime(at(100)), excluded: [{ repository: S3, label: label('B') }] }))).toEqual(['local/B', 'local/A']);
  });

  it('is not of this cluster generation', () => {
    const old = snapshot({ backups: [backup('A', 2, { systemIdentifier: '7300000000000000002' })], wal: segments(1, 11) });
    expect(refused(ask([old], toTime(at(100))))).toMatchObject({
      code: 'NO_BACKUP',
      message: expect.stringContaining('earlier generation'),
    });
  });
});

describe('no backup at all', () => {
  it('is said with the repositories that were looked at', () => {
    expect(refused(ask([snapshot({}), snapshot({ repository: S3 })], {}))).toMatchObject({
      code: 'NO_BACKUP',
      message: 'there is no backup in any repository (local, s3)',
    });
    expect(refused(ask([plain], { label: label('Z') })).message).toBe('there is no backup Z in any repository (local)');
    expect(refused(ask([plain], { repository: S3 })).message).toBe('there is no backup in repository s3');
  });
});

describe('timelines', () => {
  const second = history(2, '1\t0/500064\tno recovery target specified\n');
  const failedOver = snapshot({
    backups: [backup('A', 2), backup('B', 7, { timeline: 2 })],
    wal: [...segments(1, 4), ...segments(5, 11, 2)],
    histories: [second],
  });

  it('are followed across a promotion', () => {
    expect(ask([failedOver], toTime(at(100)))).toMatchObject({
      candidates: [
        { label: 'B', timeline: 2 },
        { label: 'A', timeline: 2 },
      ],
    });
    expect(chosen(ask([failedOver], toTime(at(60))))).toEqual(['local/A']);
  });

  it('stay where they are with `current`', () => {
    expect(ask([failedOver], { ...toTime(at(45)), timeline: 'current' })).toMatchObject({ candidates: [{ label: 'A', timeline: 1 }] });
    expect(chosen(ask([failedOver], { ...toTime(at(100)), timeline: 'current', label: label('A') }))).toBe('TARGET_AFTER_WINDOW');
  });

  it('that a backup is not on are refused, with the fork', () => {
    expect(refused(ask([failedOver], { timeline: tli(1), label: label('B') }))).toMatchObject({
      code: 'TARGET_TIMELINE',
      message:
        'no backup serves the end of the archive: B in repository local was taken on timeline 2, from which timeline 1 does not descend',
    });
    const late = snapshot({ backups: [backup('C', 6)], wal: [...segments(1, 9), ...segments(5, 9, 2)], histories: [second] });
    expect(refused(ask([late], {})).message).toBe(
      'no backup serves the end of the archive: C in repository local ended at 0/700100 on timeline 1, which timeline 2 left before, at 0/500064',
    );
    expect(chosen(ask([late], { timeline: tli(1) }))).toEqual(['local/C']);
  });

  it('of which the history is missing cannot be followed', () => {
    expect(refused(ask([failedOver], { timeline: tli(7) })).message).toContain('the archive has no 00000007.history');
    const lost = snapshot({ backups: [backup('A', 2)], wal: [...segments(1, 4), ...segments(5, 9, 2)] });
    expect(refused(ask([lost], {}))).toMatchObject({ code: 'TARGET_TIMELINE', message: expect.stringContaining('00000002.history') });
    expect(chosen(ask([lost], { timeline: tli(1) }))).toEqual(['local/A']);
  });

  it('end nowhere short of the one that the running primary writes: the newest state is not that of an older timeline', () => {
    const liveEnd = { lsn: lsnIn(12), timeline: tli(2), time: at(150) };
    expect(refused(ask([plain], { liveEnd }))).toMatchObject({
      code: 'TARGET_TIMELINE',
      message: expect.stringContaining('00000002.history'),
    });
    expect(chosen(ask([plain], { liveEnd, timeline: tli(1) }))).toEqual(['local/B', 'local/A']);
    expect(chosen(ask([plain], { ...toTime(at(100)), liveEnd }))).toEqual(['local/B', 'local/A']);
  });

  it('reach the running primary’s end across a fork of which nothing is archived yet', () => {
    const promoted = snapshot({ backups: [backup('A', 2)], wal: segments(1, 4), histories: [second] });
    const liveEnd = { lsn: lsnIn(6), timeline: tli(2), time: at(150) };
    expect(ask([promoted], { ...toTime(at(140)), liveEnd })).toMatchObject({ candidates: [{ label: 'A', timeline: 2, segmentCount: 4 }] });
    expect(chosen(ask([promoted], toTime(at(140))))).toBe('TARGET_AFTER_WINDOW');
  });

  it('mean the same in a repository that lags behind: it may not serve an older history as the latest', () => {
    const lagging = snapshot({ repository: S3, backups: [backup('A3', 2)], wal: segments(1, 4) });
    expect(chosen(ask([failedOver, lagging], toTime(at(100))))).toEqual(['local/B', 'local/A']);
    expect(refused(ask([failedOver, lagging], { repository: S3 }))).toMatchObject({ code: 'TARGET_TIMELINE' });
  });
});

describe('an instant that lies on two histories', () => {
  // Recovered at second 100 to second 53: timeline 1 went on until then, timeline 2 has nothing between 53 and 100.
  const second = history(2, '1\t0/500064\tbefore 2026-11-22 12:00:53+00\n');
  const recovered = (backups = [backup('A', 2)]) =>
    snapshot({
      backups,
      wal: [
        ...segments(1, 9),
        ...segments(5, 5, 2).map((one) => ({ ...one, archivedAt: at(110) })),
        ...segments(6, 9, 2).map((one) => ({ ...one, archivedAt: at(200) })),
      ],
      histories: [second],
    });

  it('is refused until the timeline is named', () => {
    expect(refused(ask([recovered()], toTime(at(80))))).toMatchObject({
      code: 'TARGET_TIMELINE',
      details: { timelines: [2, 1], partAt: '0/500064' },
      message:
        '2026-11-22 12:01:20 UTC may lie on timeline 2 or on timeline 1: they part at 0/500064, and the archive has both, timeline 1 until 2026-11-22 12:01:40 UTC',
    });
    expect(ask([recovered()], { ...toTime(at(80)), timeline: tli(1) })).toMatchObject({ candidates: [{ timeline: 1 }] });
    expect(ask([recovered()], { ...toTime(at(80)), timeline: tli(2) })).toMatchObject({ candidates: [{ timeline: 2 }] });
  });

  it('is not one where it lies before the fork by what the history file says, or by a later backup', () => {
    expect(chosen(ask([recovered()], toTime(at(50))))).toEqual(['local/A']);
    const silent = { ...recovered([backup('A', 2), backup('B', 4, { length: 0 })]) };
    const unnamed = {
      ...silent,
      walArchive: { ...silent.walArchive, histories: [history(2, '1\t0/500064\tafter transaction 730\n')] },
    } as RepositorySnapshot;
    expect(chosen(ask([unnamed], toTime(at(35))))).toEqual(['local/A']);
    expect(chosen(ask([unnamed], toTime(at(45))))).toBe('TARGET_TIMELINE');
  });

  it('is not one where the abandoned timeline had ended, or a backup after the fork vouches for the new one', () => {
    expect(chosen(ask([recovered()], toTime(at(150))))).toEqual(['local/A']);
    expect(chosen(ask([recovered([backup('A', 2), backup('B', 6, { timeline: 2 })])], toTime(at(80))))).toEqual(['local/B', 'local/A']);
  });

  it('is one in all of the second in which the abandoned timeline’s last segment was archived', () => {
    const inLastSecond = addMicros(at(100), 999_999n);
    expect(chosen(ask([recovered()], toTime(inLastSecond)))).toBe('TARGET_TIMELINE');
    expect(chosen(ask([recovered()], toTime(at(101))))).toEqual(['local/A']);
  });

  it('is not one where a backup in another repository shows that it lies before the fork', () => {
    const wal = [...segments(1, 9), ...segments(5, 9, 2)];
    const histories = [history(2, '1\t0/500064\tno recovery target specified\n')];
    const local = snapshot({ backups: [backup('A', 2)], wal, histories });
    const s3 = snapshot({ repository: S3, backups: [backup('B', 2), backup('C', 4, { length: 0 })], wal, histories });
    expect(chosen(ask([local], toTime(at(35))))).toBe('TARGET_TIMELINE');
    expect(chosen(ask([local, s3], toTime(at(35))))).toEqual(['local/A', 's3/B']);
  });

  it('is one of position where the LSN lies beyond the fork', () => {
    const toLsn = (lsn: ReturnType<typeof lsnIn>) => ({ target: { kind: 'lsn', lsn, inclusive: true } }) as const;
    expect(chosen(ask([recovered()], toLsn(lsnIn(7))))).toBe('TARGET_TIMELINE');
    expect(chosen(ask([recovered()], toLsn(lsnIn(5, 99))))).toEqual(['local/A']);
    expect(chosen(ask([recovered()], toLsn(lsnIn(5, 100))))).toBe('TARGET_TIMELINE');
    expect(chosen(ask([recovered()], { target: { kind: 'lsn', lsn: lsnIn(5, 100), inclusive: false } }))).toEqual(['local/A']);
    expect(chosen(ask([recovered()], toLsn(lsnIn(5, 90))))).toEqual(['local/A']);
  });

  it('is none where a server that was shut down merely archived the rest of the fork’s segment', () => {
    const failover = snapshot({
      backups: [backup('A', 2)],
      wal: [...segments(1, 5), ...segments(5, 9, 2)],
      histories: [history(2, '1\t0/500064\tno recovery target specified\n')],
    });
    expect(chosen(ask([failover], toTime(at(50))))).toEqual(['local/A']);
  });
});

describe('the details of a refusal', () => {
  it('can be printed as JSON', () => {
    const choice = refused(ask([plain], toTime(instantOfMicros(0n))));
    expect(JSON.parse(JSON.stringify(choice.details))).toMatchObject({
      target: '1970-01-01 00:00:00 UTC',
      backups: [{ repository: 'local', backup: 'A' }, { backup: 'B' }],
    });
  });
});
