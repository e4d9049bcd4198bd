import { describe, expect, it } from 'vitest';
import { readRecoveryLog } from '../../../../src/domain/recovery/server-log.ts';
import { parsePostgresTimestamp } from '../../../../src/domain/time/instant.ts';

/** Logged by PostgreSQL 15 with cp as restore_command, recovering to a time with recovery_target_action = promote. */
const TO_A_TIME = `2026-11-22 22:05:40.088 UTC [12671] LOG:  starting PostgreSQL 15.20 (Debian 15.20-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit
2026-11-22 22:05:40.088 UTC [12671] LOG:  listening on Unix socket "/tmp/s/.s.PGSQL.6001"
2026-11-22 22:05:40.090 UTC [12674] LOG:  database system was interrupted; last known up at 2026-11-22 22:03:54 UTC
cp: cannot stat '/tmp/arch/00000002.history': No such file or directory
2026-11-22 22:05:40.092 UTC [12674] LOG:  starting point-in-time recovery to 2026-11-22 22:03:55.663805+00
2026-11-22 22:05:40.092 UTC [12674] LOG:  starting backup recovery with redo LSN 0/2000028, checkpoint LSN 0/2000060, on timeline ID 1
2026-11-22 22:05:40.100 UTC [12674] LOG:  restored log file "000000010000000000000002" from archive
2026-11-22 22:05:40.100 UTC [12674] LOG:  redo starts at 0/2000028
2026-11-22 22:05:40.108 UTC [12674] LOG:  restored log file "000000010000000000000003" from archive
2026-11-22 22:05:40.116 UTC [12674] LOG:  completed backup recovery with redo LSN 0/2000028 and end LSN 0/2000100
2026-11-22 22:05:40.116 UTC [12674] LOG:  consistent recovery state reached at 0/2000100
2026-11-22 22:05:40.116 UTC [12671] LOG:  database system is ready to accept read-only connections
2026-11-22 22:05:40.120 UTC [12674] LOG:  recovery stopping before commit of transaction 730, time 2026-11-22 22:03:55.874856+00
2026-11-22 22:05:40.120 UTC [12674] LOG:  redo done at 0/3000270 system usage: CPU: user: 0.00 s, system: 0.00 s, elapsed: 0.03 s
2026-11-22 22:05:40.120 UTC [12674] LOG:  last completed transaction was at log time 2026-11-22 22:03:55.656581+00
2026-11-22 22:05:40.127 UTC [12674] LOG:  restored log file "000000010000000000000003" from archive
2026-11-22 22:05:40.131 UTC [12674] LOG:  selected new timeline ID: 2
2026-11-22 22:05:40.136 UTC [12674] LOG:  archive recovery complete
2026-11-22 22:05:40.140 UTC [12671] LOG:  database system is ready to accept connections
`;

const ENDED_TOO_EARLY = `2026-11-22 22:05:03.759 UTC [11080] LOG:  starting PostgreSQL 15.20 (Debian 15.20-0+deb12u1) on x86_64-pc-linux-gnu
2026-11-22 22:05:03.767 UTC [11083] LOG:  starting point-in-time recovery to 2030-01-01 00:00:00+00
2026-11-22 22:05:03.777 UTC [11083] LOG:  restored log file "000000010000000000000002" from archive
2026-11-22 22:05:03.799 UTC [11083] LOG:  restored log file "000000010000000000000004" from archive
2026-11-22 22:05:03.802 UTC [11083] LOG:  redo done at 0/4000090 system usage: CPU: user: 0.00 s, system: 0.00 s, elapsed: 0.02 s
2026-11-22 22:05:03.802 UTC [11083] LOG:  last completed transaction was at log time 2026-11-22 22:03:55.925293+00
2026-11-22 22:05:03.802 UTC [11083] FATAL:  recovery ended before configured recovery target was reached
2026-11-22 22:05:03.805 UTC [11080] LOG:  startup process (PID 11083) exited with exit code 1
2026-11-22 22:05:03.805 UTC [11080] LOG:  shutting down due to startup process failure
`;

function logged(message: string): string {
  return `2026-11-22 22:05:10.646 UTC [11260] LOG:  ${message}\n`;
}

describe('the log of a recovery', () => {
  it('tells where replay stopped, what it had replayed and which timeline began', () => {
    expect(readRecoveryLog(TO_A_TIME)).toEqual({
      stopped: {
        side: 'before',
        what: 'commit',
        line: 'recovery stopping before commit of transaction 730, time 2026-11-22 22:03:55.874856+00',
        xid: 730n,
        time: parsePostgresTimestamp('2026-11-22 22:03:55.874856+00'),
      },
      lastCompletedTransactionTime: parsePostgresTimestamp('2026-11-22 22:03:55.656581+00'),
      redoDoneLsn: 0x3000270n,
      newTimeline: 2,
      recoveredTimeline: 1,
      restoredSegments: 2,
      lastRestoredSegment: '000000010000000000000003',
      endedBeforeTarget: false,
      beforeConsistency: false,
    });
  });

  it.each([
    ['recovery stopping after commit of transaction 728, time 2026-11-22 22:03:55.641667+00', { side: 'after', what: 'commit', xid: 728n }],
    ['recovery stopping after abort of transaction 731, time 2026-11-22 22:03:55.883257+00', { side: 'after', what: 'abort', xid: 731n }],
    ['recovery stopping before abort of transaction 731, time 2026-11-22 22:03:55.883257+00', { side: 'before', what: 'abort', xid: 731n }],
    ['recovery stopping after WAL location (LSN) "0/30001C8"', { side: 'after', what: 'lsn', lsn: 0x30001c8n }],
    ['recovery stopping before WAL location (LSN) "16/B374D848"', { side: 'before', what: 'lsn', lsn: 0x16b374d848n }],
    [
      'recovery stopping at restore point "my "point"", time 2026-11-22 22:03:55.89293+00',
      { side: 'after', what: 'name', name: 'my "point"' },
    ],
    ['recovery stopping after reaching consistency', { side: 'after', what: 'immediate' }],
  ])('understands %j', (message, stop) => {
    expect(readRecoveryLog(logged(message)).stopped).toMatchObject({ ...stop, line: message });
  });

  it('tells that WAL ended before the target, and why the server died', () => {
    const log = readRecoveryLog(ENDED_TOO_EARLY);
    expect(log).toMatchObject({
      endedBeforeTarget: true,
      beforeConsistency: false,
      fatal: 'recovery ended before configured recovery target was reached',
    });
    expect(log.stopped).toBeUndefined();
    expect(log.redoDoneLsn).toBe(0x4000090n);
  });

  it('tells that the target came before the end of the backup', () => {
    const text = `${logged('recovery stopping after WAL location (LSN) "0/2000060"')}2026-11-22 22:04:55.465 UTC [10896] FATAL:  requested recovery stop point is before consistent recovery point\n`;
    expect(readRecoveryLog(text)).toMatchObject({ beforeConsistency: true, endedBeforeTarget: false });
  });

  it('takes no client that was turned away for the cause of death', () => {
    const text = `${ENDED_TOO_EARLY}2026-11-22 22:05:03.803 UTC [11100] FATAL:  the database system is shutting down
2026-11-22 22:05:03.803 UTC [11101] FATAL:  role "postgres" does not exist
2026-11-22 22:05:03.803 UTC [11102] FATAL:  no pg_hba.conf entry for host "[local]", user "a", database "b", no encryption
2026-11-22 22:05:03.803 UTC [11103] FATAL:  password authentication failed for user "a"
2026-11-22 22:05:03.804 UTC [11104] FATAL:  terminating connection due to administrator command
`;
    expect(readRecoveryLog(text).fatal).toBe('recovery ended before configured recovery target was reached');
    expect(readRecoveryLog('2026-11-22 22:05:03 UTC [1] FATAL:  the database system is starting up\n').fatal).toBeUndefined();
  });

  it('reads only the last start', () => {
    const log = readRecoveryLog(ENDED_TOO_EARLY + TO_A_TIME);
    expect(log).toMatchObject({ endedBeforeTarget: false, restoredSegments: 2, newTimeline: 2 });
    expect(log.fatal).toBeUndefined();
    expect(readRecoveryLog(TO_A_TIME + ENDED_TOO_EARLY).stopped).toBeUndefined();
  });

  it('tells a fault of the fetch from a file that is not there', () => {
    const missing = "cp: cannot stat '/tmp/arch/000000010000000000000007': No such file or directory\n";
    expect(readRecoveryLog(missing + ENDED_TOO_EARLY).fetchError).toBeUndefined();
    const unreachable = "P00  ERROR: [049]: unable to connect to '127.0.0.1:9000': [111] Connection refused\n";
    expect(readRecoveryLog(ENDED_TOO_EARLY + unreachable).fetchError).toBe(
      "ERROR: [049]: unable to connect to '127.0.0.1:9000': [111] Connection refused",
    );
    expect(readRecoveryLog("ERROR: [031]: option 'spool-path' not valid without option 'archive-async'\n").fetchError).toMatch(
      /^ERROR: \[031\]/,
    );
    const killed =
      '2026-11-22 22:05:10.646 UTC [11260] FATAL:  could not restore file "00000002.history" from archive: child process exited with exit code 130\n';
    expect(readRecoveryLog(killed)).toMatchObject({
      fetchError: expect.stringContaining('exit code 130'),
      fatal: expect.stringContaining('exit code 130'),
    });
  });

  it('recognizes what spoke-wal-get says of a file that it cannot bring', () => {
    const damaged =
      'spoke-wal-get: ERROR: [damaged]: 000000010000000000000009: /r/wal/x.zst is damaged: Restored data does not match checksum\n';
    expect(readRecoveryLog(ENDED_TOO_EARLY + damaged).fetchError).toBe(
      'ERROR: [damaged]: 000000010000000000000009: /r/wal/x.zst is damaged: Restored data does not match checksum',
    );
    expect(readRecoveryLog('spoke-wal-get: ERROR: [no-key]: 00000002.history: it is encrypted\n').fetchError).toMatch(/^ERROR: \[no-key\]/);
  });

  it('is understood with any log_line_prefix, and as PostgreSQL 13 and 14 word it', () => {
    const text = `LOG:  redo done at 0/3000270
prefix with spaces LOG:  last completed transaction was at log time 2026-11-22 22:03:55.656581+00
2026-11-22 app=[unknown] %LOG:  recovery stopping before commit of transaction 730, time 2026-11-22 22:03:55.874856+00\n`;
    expect(readRecoveryLog(text)).toMatchObject({ redoDoneLsn: 0x3000270n, stopped: { xid: 730n } });
  });

  it('counts history files and segments fetched twice no further', () => {
    const text = [
      '00000002.history',
      '000000010000000000000003',
      '000000020000000000000004',
      '000000020000000000000004',
      '00000003.history',
    ]
      .map((name) => logged(`restored log file "${name}" from archive`))
      .join('');
    expect(readRecoveryLog(text)).toMatchObject({
      restoredSegments: 2,
      lastRestoredSegment: '000000020000000000000004',
      recoveredTimeline: 2,
    });
  });

  it('that is empty says nothing', () => {
    expect(readRecoveryLog('')).toEqual({ restoredSegments: 0, endedBeforeTarget: false, beforeConsistency: false });
  });
});
