import { describe, expect, it } from 'vitest';
import {
  archiveCommand,
  backupArguments,
  checkArguments,
  infoArguments,
  repoGetArguments,
  repoListArguments,
  restoreArguments,
  replayRestoreCommand,
  restoreCommand,
  standbyRestoreCommand,
  stanzaCreateArguments,
  verifyArguments,
} from '../../../src/adapters/pgbackrest/arguments.ts';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import type { RecoveryTarget } from '../../../src/domain/recovery/target.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';
import { S3, SETTINGS } from './settings.ts';

const REQUEST: RestoreRequest = {
  repository: S3,
  label: '20261122-020003F' as BackupLabel,
  dataDirectory: '/data.new',
  target: { kind: 'latest' },
  timeline: 'latest',
  targetAction: 'pause',
  workDirectory: '/beside',
  tablespaceMap: [],
  resume: false,
};

function restoring(more: Partial<RestoreRequest>): string[] {
  return restoreArguments(SETTINGS, 2, { ...REQUEST, ...more });
}

function targeting(target: RecoveryTarget, more: Partial<RestoreRequest> = {}): string[] {
  return restoring({ target, ...more }).filter((word) => /^--(?:type|target|recovery-option=recovery_target)/.test(word));
}

describe('every command', () => {
  const commands = [
    infoArguments(SETTINGS, 2),
    repoListArguments(SETTINGS, 2, 'archive/main'),
    repoGetArguments(SETTINGS, 2, 'archive/main/archive.info'),
    verifyArguments(SETTINGS, 2),
    stanzaCreateArguments(SETTINGS),
    checkArguments(SETTINGS),
    backupArguments(SETTINGS, 2, { repository: S3, type: 'incr', runId: 'run-1' }),
    restoring({}),
    [restoreCommand(SETTINGS, 2)],
    [standbyRestoreCommand(SETTINGS, 2)],
    [replayRestoreCommand(SETTINGS, { repository: 2, workDirectory: '/beside' })],
    [archiveCommand(SETTINGS)],
  ];

  it('holds no secret', () => {
    expect(JSON.stringify(commands)).not.toContain('canary');
  });

  it('names stanza and configuration, and prints no log to stdout', () => {
    for (const argv of commands) expect(argv.join(' ')).toMatch(/--config=\S+ --stanza=main/);
    for (const argv of commands.slice(0, 8)) expect(argv).toContain('--log-level-console=off');
  });
});

it('reads with the configuration on standard input', () => {
  expect(infoArguments(SETTINGS, 2, '20261122-020003F')).toEqual(
    expect.arrayContaining(['--config=/dev/stdin', '--repo=2', '--set=20261122-020003F', '--output=json']),
  );
});

it('leaves the time limit of a connection to the operator who has set one', () => {
  expect(infoArguments(SETTINGS, 2).some((word) => word.startsWith('--io-timeout='))).toBe(true);
  const settings = { ...SETTINGS, extraOptions: { 'io-timeout': '5' } };
  expect(infoArguments(settings, 2).some((word) => word.startsWith('--io-timeout='))).toBe(false);
});

it('backs up into one repository, with the run noted', () => {
  expect(backupArguments(SETTINGS, 2, { repository: S3, type: 'diff', runId: 'run-1' })).toEqual(
    expect.arrayContaining(['--repo=2', '--type=diff', '--annotation=spoke-run=run-1']),
  );
});

describe('a restore', () => {
  it('uses one backup of one repository, and nothing of production besides the configuration', () => {
    expect(restoring({})).toEqual(
      expect.arrayContaining([
        '--repo=2',
        '--set=20261122-020003F',
        '--pg1-path=/data.new',
        '--spool-path=/beside/spool',
        '--lock-path=/beside/lock',
      ]),
    );
    expect(restoring({}).join(' ')).not.toMatch(/\/state\/(?:lock|spool|log)|\/data(?!\.new)/);
  });

  it('writes into a directory with files only where it is resumed', () => {
    expect(restoring({ resume: true })).toContain('--delta');
    expect(restoring({})).not.toContain('--delta');
  });

  it('maps tablespaces by their number', () => {
    const tablespaceMap = [
      { oid: 16384, location: '/a' },
      { oid: 16385, location: '/b' },
    ];
    expect(restoring({ tablespaceMap })).toEqual(expect.arrayContaining(['--tablespace-map=16384=/a', '--tablespace-map=16385=/b']));
  });

  it('is never of type none, by which PostgreSQL would go on without a new timeline', () => {
    expect(targeting({ kind: 'latest' })).toEqual(['--type=default', '--target-timeline=latest']);
  });

  it('makes a standby of what it restores, which knows no end', () => {
    expect(targeting({ kind: 'latest' }, { standby: true })).toEqual(['--type=standby', '--target-timeline=latest']);
  });

  it('passes a time with microseconds and its offset', () => {
    // date -u -d '2026-11-22 14:05:00' +%s prints 1795356300
    expect(
      targeting({ kind: 'time', time: instantOfMicros(1_795_356_300_123_456n), inclusive: true }, { timeline: timelineIdOf(3) }),
    ).toEqual(['--type=time', '--target=2026-11-22 14:05:00.123456+00', '--target-action=pause', '--target-timeline=3']);
  });

  it('stops before an exclusive target', () => {
    expect(
      targeting({ kind: 'lsn', lsn: parseLsn('0/9000060'), inclusive: false }, { targetAction: 'promote', timeline: 'current' }),
    ).toEqual(['--type=lsn', '--target=0/9000060', '--target-exclusive', '--target-action=promote', '--target-timeline=current']);
  });

  it('passes the low 32 bits of a transaction id, which is what WAL holds', () => {
    expect(targeting({ kind: 'xid', xid: 4_294_967_296n * 5n + 741n, inclusive: true })).toContain('--target=741');
  });

  it('escapes the name of a restore point, which pgBackRest puts between quotes as it is', () => {
    expect(targeting({ kind: 'name', name: "it's\\x\nport = 1" })).toContain("--target=it''s\\\\x\\nport = 1");
  });

  it('sets the timeline of an immediate target as a recovery option: pgBackRest refuses --target-timeline there', () => {
    expect(targeting({ kind: 'immediate' }, { timeline: 'current' })).toEqual([
      '--type=immediate',
      '--target-action=pause',
      '--recovery-option=recovery_target_timeline=current',
    ]);
  });
});
