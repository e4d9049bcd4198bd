import { describe, expect, it } from 'vitest';
import { rememberLook } from '../../../../src/domain/health/archive-facts.ts';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import { at, backup, history, LOCAL, lsnIn, S3, SEGMENT_SIZE_BYTES, segments, tli } from '../recovery/world.ts';
import { closedBut, codes, facts, primary, repository, states, unreadable, wal } from './facts.ts';

describe('an archive that has every closed segment', () => {
  it('is healthy, and the segment that is being written is no gap', () => {
    const given = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, closedBut())] });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
    expect(codes(given)).toEqual([]);
  });

  it('is healthy however long ago the last segment came, while nothing is written', () => {
    const given = facts({
      now: at(90_000),
      primary: primary({ serverTime: at(90_000), archived: 19 }),
      snapshots: [repository(LOCAL, closedBut())],
    });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
  });

  it('is healthy where only a backup that is no longer the newest lacks WAL', () => {
    const backups = [backup('old', 2), backup('new', 10)];
    const given = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, closedBut(6), { backups })] });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
  });
});

describe('WAL that waits', () => {
  it('for a moment is no lag', () => {
    const given = facts({ primary: primary({ waits: [19], archived: 18 }), snapshots: [repository(LOCAL, closedBut(19))] });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
  });

  it('for longer than a minute is lag, since the first of it was full, to where the primary writes', () => {
    const given = facts({
      primary: primary({ waits: [12, 13, 14, 15, 16, 17, 18, 19], archived: 11 }),
      snapshots: [repository(LOCAL, segments(1, 11))],
    });
    // Segment 12 was full at second 130; eight segments and the 40 bytes of the next are not there.
    expect(states(given)).toEqual({ local: { state: 'lagging', seconds: 70, bytes: 8n * 1_048_576n + 40n, segments: 8 } });
    expect(codes(given)).toEqual(['archive-lagging']);
  });

  it('in the middle of what an asynchronous push has brought already is lag, and no gap', () => {
    const given = facts({ primary: primary({ waits: [12], archived: 11 }), snapshots: [repository(LOCAL, closedBut(12))] });
    expect(states(given)['local']).toMatchObject({ state: 'lagging', segments: 1 });
  });

  it('is dated by the looks before where the role may not see the queue', () => {
    const before = rememberLook(facts({ now: at(100), primary: primary({ writing: 13 }), snapshots: [] }));
    const snapshots = [repository(LOCAL, closedBut(12))];
    expect(states(facts({ primary: primary({ archived: 11 }), snapshots, samples: before }))['local']).toMatchObject({
      state: 'lagging',
      seconds: 100,
    });
    expect(states(facts({ primary: primary({ archived: 11 }), snapshots }))['local']).toEqual({ state: 'healthy' });
  });

  it('is late when any of it is, also where nothing dates the first of it, which is older still', () => {
    const given = facts({ primary: primary({ waits: [10], archived: 2 }), snapshots: [repository(LOCAL, closedBut(3, 10))] });
    // Segment 10 was full at second 110.
    expect(states(given)['local']).toMatchObject({ state: 'lagging', seconds: 90, segments: 2 });
  });

  it('is late where more of it than may be on the way is of unknown age, whatever is known of the rest', () => {
    const given = facts({ primary: primary({ waits: [19], archived: 2 }), snapshots: [repository(LOCAL, closedBut(3, 4, 5, 19))] });
    expect(states(given)['local']).toEqual({ state: 'lagging', bytes: 17n * 1_048_576n + 40n, segments: 4 });
  });

  it('is not late where it was closed since a look a moment ago, however much it is', () => {
    const given = { primary: primary({ archived: 13 }), snapshots: [repository(LOCAL, segments(1, 13))] };
    expect(states(facts(given))['local']).toEqual({ state: 'lagging', bytes: 6n * 1_048_576n + 40n, segments: 6 });
    const before = rememberLook(facts({ now: at(170), primary: primary({ writing: 14 }), snapshots: [] }));
    expect(states(facts({ ...given, samples: before }))['local']).toEqual({ state: 'healthy' });
  });

  it('longer than the objective allows everywhere is told as such', () => {
    const given = { primary: primary({ waits: [14, 19], archived: 13 }), rpoSeconds: 30 };
    const late = repository(S3, closedBut(14));
    expect(codes(facts({ ...given, snapshots: [late] }))).toEqual(['archive-lagging', 'archive-timeout-too-long', 'rpo-missed']);
    expect(codes(facts({ ...given, snapshots: [late, repository(LOCAL, closedBut())] }))).toEqual([
      'archive-lagging',
      'archive-timeout-too-long',
    ]);
  });
});

describe('WAL that PostgreSQL counts as archived and the repository does not have', () => {
  const dropped = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, closedBut(12, 13, 15))] });

  it('is a gap, from the first to the last of it, with the instant until which recovery is possible', () => {
    // Segment 11 was archived at second 120.
    expect(states(dropped)).toEqual({
      local: { state: 'gap', firstMissing: wal(12), lastMissing: wal(15), segments: 3, recoverableUntil: at(120) },
    });
    expect(codes(dropped)).toEqual(['archive-gap']);
  });

  it('makes a backup due, and says why', () => {
    expect(assessArchive(dropped).backupsDue).toEqual([
      {
        repository: LOCAL,
        reason: `WAL ${wal(12)} to ${wal(15)} is missing in local, what was committed after 2026-11-22 12:02:00 UTC cannot be recovered`,
      },
    ]);
  });

  it('is no gap any more once a backup was taken after it', () => {
    const [snapshot] = dropped.snapshots;
    const backups = [...(snapshot?.backups ?? []), backup('after', 16)];
    expect(states({ ...dropped, snapshots: [{ ...repository(LOCAL, closedBut(12, 13, 15)), backups }] })).toEqual({
      local: { state: 'healthy' },
    });
  });

  it('up to the end of the archive is a gap as well, though nothing resumes behind it', () => {
    const given = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, segments(1, 16))] });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: wal(17), lastMissing: wal(19) });
  });

  it('where archive_command stores nothing is a gap from the first', () => {
    const given = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, segments(1, 3))] });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: wal(4), segments: 16 });
  });

  it('is found by an earlier look too, when the statistics were reset meanwhile', () => {
    const samples = rememberLook(facts({ now: at(190), primary: primary({ archived: 15 }) }));
    const given = facts({ primary: primary(), snapshots: [repository(LOCAL, closedBut(12))], samples });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: wal(12), lastMissing: wal(12) });
  });

  it('is found without statistics where it has been closed for long and does not wait', () => {
    const samples = rememberLook(facts({ now: at(200), primary: primary() }));
    const given = facts({ now: at(900), primary: primary({ waits: [] }), snapshots: [repository(LOCAL, closedBut(12))], samples });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: wal(12) });
  });

  it('does not count before what was listed', () => {
    const walArchive = { segmentSizeBytes: SEGMENT_SIZE_BYTES, listedFrom: 10n, ranges: walRangesOf(segments(10, 19)), histories: [] };
    const given = facts({ primary: primary({ waits: [], archived: 19 }), snapshots: [repository(LOCAL, [], { walArchive })] });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
  });

  it('is a gap too where it comes before what was listed of a long queue, and only then', () => {
    const { queue, ...more } = primary({ waits: [12], archived: 19 });
    const queued = { ...more, queue: { count: 5, waiting: queue?.waiting ?? [] } };
    const of = (missing: readonly number[]) =>
      states(facts({ primary: queued, snapshots: [repository(LOCAL, closedBut(...missing))] }))['local'];
    expect(of([5, 6])).toMatchObject({ state: 'gap', firstMissing: wal(5), lastMissing: wal(6) });
    expect(of([15])?.state).not.toBe('gap');
  });

  it('cannot be mended by a backup while no WAL arrives', () => {
    const archiver = {
      archivedCount: 1n,
      failedCount: 9n,
      lastArchivedWal: wal(15),
      lastArchivedTime: at(160),
      lastFailedWal: wal(16),
      lastFailedTime: at(199),
    };
    const given = facts({
      primary: primary({ waits: [16, 17, 18, 19], archiver }),
      snapshots: [repository(LOCAL, closedBut(12, 16, 17, 18, 19))],
    });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: wal(12), lastMissing: wal(12) });
    expect(assessArchive(given).backupsDue).toMatchObject([{ repository: LOCAL, blockedBy: expect.stringContaining(wal(16)) }]);
  });
});

describe('an archiver that fails', () => {
  const archiver = {
    archivedCount: 1n,
    failedCount: 3n,
    lastArchivedWal: wal(16),
    lastArchivedTime: at(170),
    lastFailedWal: wal(17),
    lastFailedTime: at(195),
  };
  const stuck = primary({ waits: [17, 18, 19], archiver });

  it('fails for the repository that lacks the segment, and not for the one that has it', () => {
    const given = facts({ primary: stuck, snapshots: [repository(LOCAL, closedBut()), repository(S3, segments(1, 16))] });
    expect(states(given)).toMatchObject({ local: { state: 'healthy' }, s3: { state: 'failing', since: at(180) } });
    expect(codes(given)).toEqual(['archive-failing']);
  });

  it('fails for each where all have a segment of that name: another server archived a different one', () => {
    const given = facts({ primary: stuck, snapshots: [repository(LOCAL, closedBut()), repository(S3, closedBut())] });
    expect(states(given)).toMatchObject({ local: { state: 'failing' }, s3: { state: 'failing' } });
  });

  it('is explained by what the engine noted for the repository', () => {
    const pushErrors = [{ segment: wal(17), repository: S3, message: 'unable to connect' }];
    const snapshots = [repository(LOCAL, closedBut()), repository(S3, segments(1, 16))];
    // Also before PostgreSQL counts a failure: an attempt takes minutes.
    expect(states(facts({ primary: primary({ waits: [17, 18, 19], archived: 16 }), snapshots, pushErrors }))).toMatchObject({
      local: { state: 'healthy' },
      s3: { state: 'failing', lastError: 'unable to connect' },
    });
  });

  it('is told of a repository that cannot be read, when everything else has what waits', () => {
    const given = facts({ primary: stuck, snapshots: [repository(LOCAL, closedBut())], unreadable: [unreadable(S3)] });
    expect(states(given)).toMatchObject({ local: { state: 'healthy' }, s3: { state: 'failing', lastError: 'unable to connect' } });
  });

  it('has failed, and no longer fails, once it archived something later', () => {
    const recovered = primary({ waits: [], archiver: { ...archiver, lastArchivedWal: wal(19), lastArchivedTime: at(199) } });
    expect(states(facts({ primary: recovered, snapshots: [repository(LOCAL, closedBut())] }))).toEqual({ local: { state: 'healthy' } });
  });

  it.each([
    [{ archiveMode: 'off', archiveCommand: '(disabled)' }, 'archive_mode is off on primary-1'],
    [{ archiveMode: 'on', archiveCommand: '', archiveLibrary: '' }, 'archive_command is empty on primary-1'],
  ])('is none at all with %j', (settings, lastError) => {
    const given = facts({ primary: primary({ settings }), snapshots: [repository(LOCAL, closedBut())] });
    expect(states(given)).toMatchObject({ local: { state: 'failing', lastError } });
    expect(codes(given)).toEqual(['archive-off']);
  });
});

describe('a repository that cannot be listed', () => {
  it('is unknown, and never missing anything', () => {
    const given = facts({
      primary: primary({ waits: [], archived: 19 }),
      snapshots: [repository(LOCAL, closedBut())],
      unreadable: [unreadable(S3)],
    });
    expect(states(given)['s3']).toEqual({ state: 'unknown', reason: 'unable to connect' });
    expect(assessArchive(given).backupsDue).toEqual([]);
  });

  it('is unknown where no primary answers, like all others', () => {
    const { primary: _none, ...without } = facts({ snapshots: [repository(LOCAL, closedBut())], unreadable: [unreadable(S3)] });
    expect(states(without)).toMatchObject({ local: { state: 'unknown' }, s3: { state: 'unknown' } });
  });

  it('that was not set up is failing', () => {
    const snapshot = { repository: LOCAL, kind: 'local', readAt: at(0), initialised: false, backups: [] } as const;
    expect(states(facts({ snapshots: [snapshot] }))['local']).toMatchObject({ state: 'failing' });
  });
});

describe('across a promotion', () => {
  const fork = history(2, `1\t0/${(10.5 * 0x100000).toString(16)}\treason\n`);
  const onTwo = (more = {}) => primary({ timeline: tli(2), insertLsn: lsnIn(20, 40), waits: [], ...more });
  const archive = (held: readonly ReturnType<typeof segments>[number][]) => ({
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    ranges: walRangesOf(held),
    histories: [fork],
  });
  const archivedTwo = { archivedCount: 9n, failedCount: 0n, lastArchivedWal: wal(19, 2) };

  it('the segment of the fork is wanted of the new timeline only', () => {
    const walArchive = archive([...segments(1, 9), ...segments(10, 19, 2)]);
    expect(states(facts({ primary: onTwo({ archiver: archivedTwo }), snapshots: [repository(LOCAL, [], { walArchive })] }))).toEqual({
      local: { state: 'healthy' },
    });
  });

  it('the last segments of the old primary, which nobody archived, are a gap once the new one archives', () => {
    const walArchive = archive([...segments(1, 7), ...segments(10, 19, 2)]);
    const snapshots = [repository(LOCAL, [], { walArchive })];
    expect(states(facts({ primary: onTwo({ archiver: archivedTwo }), snapshots }))['local']).toMatchObject({
      state: 'gap',
      firstMissing: wal(8),
      lastMissing: wal(9),
    });
  });

  it('right after it nothing is missing: the new timeline has closed no segment yet', () => {
    const walArchive = archive(segments(1, 9));
    const given = facts({
      primary: onTwo({
        insertLsn: lsnIn(10, 900_000),
        archiver: { archivedCount: 1n, failedCount: 0n, lastArchivedWal: '00000002.history' },
      }),
      snapshots: [repository(LOCAL, [], { walArchive })],
    });
    expect(states(given)).toEqual({ local: { state: 'healthy' } });
    expect(codes(given)).toEqual([]);
  });

  it('a repository without the history file cannot be followed into the new timeline', () => {
    const walArchive = { ...archive([...segments(1, 9), ...segments(10, 19, 2)]), histories: [] };
    const given = facts({
      primary: onTwo({ archiver: archivedTwo }),
      snapshots: [repository(LOCAL, [], { walArchive })],
      histories: [fork],
    });
    expect(states(given)['local']).toMatchObject({ state: 'gap', firstMissing: '00000002.history' });
  });
});

describe('WAL of somebody else', () => {
  const held = (...more: readonly ReturnType<typeof segments>[number][]) => repository(LOCAL, [...closedBut(), ...more]);
  const healthy = { primary: primary({ waits: [], archived: 19 }) };

  it('of a newer timeline than the primary’s alarms', () => {
    expect(codes(facts({ ...healthy, snapshots: [held(...segments(15, 16, 2))] }))).toEqual(['foreign-timeline']);
  });

  it('of a timeline that descends from nowhere known alarms', () => {
    const given = facts({
      primary: primary({ timeline: tli(3), waits: [] }),
      snapshots: [held(...segments(15, 16, 2))],
      histories: [history(3, '1\t0/A80000\tr\n')],
    });
    expect(codes(given)).toContain('foreign-timeline');
  });

  it('of an abandoned timeline is at peace until somebody goes on with it', () => {
    const histories = [history(2, '1\t0/A80000\tr\n'), history(3, '1\t0/B80000\tr\n')];
    const on3 = primary({ timeline: tli(3), writing: 12, waits: [] });
    const look = (last: number) => {
      const walArchive = {
        segmentSizeBytes: SEGMENT_SIZE_BYTES,
        ranges: walRangesOf([...segments(1, 10), ...segments(10, last, 2), ...segments(11, 11, 3)]),
        histories,
      };
      return facts({ primary: on3, snapshots: [repository(LOCAL, [], { walArchive })] });
    };
    const samples = rememberLook(look(12));
    expect(codes({ ...look(12), samples })).toEqual([]);
    expect(codes({ ...look(13), samples })).toEqual(['foreign-timeline']);
  });

  it('of the old timeline beyond its end alarms when it grows: the old primary is back', () => {
    const fork = history(2, '1\t0/A80000\tr\n');
    const on2 = primary({ timeline: tli(2), writing: 12, waits: [] });
    const look = (last: number) => {
      const walArchive = {
        segmentSizeBytes: SEGMENT_SIZE_BYTES,
        ranges: walRangesOf([...segments(1, last), ...segments(10, 11, 2)]),
        histories: [fork],
      };
      return facts({ primary: on2, snapshots: [repository(LOCAL, [], { walArchive })] });
    };
    expect(codes({ ...look(9), samples: rememberLook(look(8)) })).toEqual([]);
    expect(codes({ ...look(11), samples: rememberLook(look(9)) })).toEqual(['foreign-timeline']);
  });

  it('of another cluster alarms', () => {
    const other = { ...held(), systemIdentifier: parseSystemIdentifier('42') };
    const given = facts({ ...healthy, snapshots: [other] });
    expect(states(given)['local']).toMatchObject({ state: 'failing' });
    expect(codes(given)).toContain('foreign-cluster');
  });
});

describe('the settings of archiving', () => {
  const snapshots = [repository(LOCAL, closedBut())];

  it('that somebody changed are told', () => {
    expect(codes(facts({ snapshots, expectedArchiveCommand: 'push %p' }))).toEqual(['archive-command-changed']);
    expect(codes(facts({ snapshots, expectedArchiveCommand: 'push' }))).toEqual([]);
  });

  it('that bound no loss are told', () => {
    const settings = { archiveMode: 'on', archiveCommand: 'push', archiveTimeoutSeconds: 0 };
    expect(codes(facts({ primary: primary({ settings }), snapshots }))).toEqual(['archive-timeout-too-long']);
    expect(codes(facts({ snapshots, rpoSeconds: 30 }))).toEqual(['archive-timeout-too-long']);
  });
});
