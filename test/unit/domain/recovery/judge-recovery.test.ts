import { describe, expect, it } from 'vitest';
import { judgeRecovery } from '../../../../src/domain/recovery/judge-recovery.ts';
import { readRecoveryLog } from '../../../../src/domain/recovery/server-log.ts';

const DIED =
  '2026-11-25 01:12:02.867 UTC [31953] FATAL:  could not restore file "000000010000000000000037" from archive: child process exited with exit code 200\n';
/** Of pgBackRest 2.45 with nothing listening, as PostgreSQL's log has it. */
const UNREACHABLE = `WARN: repo1: [HostConnectError] unable to load info file '/p/archive/x/archive.info' or '/p/archive/x/archive.info.copy':
      HostConnectError: unable to connect to '127.0.0.1:1': [111] Connection refused
      HostConnectError: unable to connect to '127.0.0.1:1': [111] Connection refused
      HINT: archive.info cannot be opened but is required to push/get WAL segments.
ERROR: [103]: unable to find a valid repository
`;
/** The same with a flipped byte in a segment. */
const DAMAGED = `ERROR: [042]: unable to get 000000010000000000000009:
       repo2: 15-1/0000000100000000/000000010000000000000009-5e5d4419a170edc9d5dcd170eabcd8eaabc442d7.zst [FormatError] zst error: [-20] Data corruption detected
`;

/** What is said of a server that ended while it replayed. */
function judged(log: string) {
  return judgeRecovery({ kind: 'latest' }, { log: readRecoveryLog(log) });
}

describe('a server that died because its restore_command failed', () => {
  it('is the fault of the repository, so that another one is tried, and says why', () => {
    expect(judged(UNREACHABLE + DIED)).toMatchObject({
      code: 'REPOSITORY_UNAVAILABLE',
      message: expect.stringContaining("unable to connect to '127.0.0.1:1': [111] Connection refused"),
    });
    expect(judged(DIED)).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', message: expect.stringContaining('exit code 200') });
  });

  it('is the fault of the WAL where that is what the repository holds', () => {
    expect(judged(DAMAGED + DIED)).toMatchObject({
      code: 'BACKUP_DAMAGED',
      message: expect.stringMatching(
        /unable to get 000000010000000000000009: \[FormatError\] zst error: \[-20\] Data corruption detected$/,
      ),
    });
  });

  it('is told apart by the words of spoke-wal-get as well', () => {
    const said = (word: string) => judged(`spoke-wal-get: ERROR: [${word}]: 000000010000000000000009: what and why\n${DIED}`);
    expect(said('damaged')).toMatchObject({
      code: 'BACKUP_DAMAGED',
      message: expect.stringMatching(/000000010000000000000009: what and why$/),
    });
    for (const word of ['unavailable', 'no-key', 'cannot-write']) expect(said(word)).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  });

  it('is the fault of the WAL where PostgreSQL was given something of another size', () => {
    const size =
      '2026-11-25 01:40:44.480 UTC [18909] FATAL:  archive file "000000010000000000000009" has wrong size: 16767877 instead of 16777216\n';
    expect(judged(size)).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining('has wrong size') });
  });

  it('is not told from an earlier fault that it outlived', () => {
    const other = '2026-11-25 01:12:02.867 UTC [31953] PANIC:  could not write to file "pg_wal/xlogtemp.1": Input/output error\n';
    expect(judged(UNREACHABLE + other)).toMatchObject({ code: 'POSTGRES_FAILED', message: expect.stringContaining('could not write') });
  });
});
