import { describe, expect, it } from 'vitest';
import { lastReplicationTrouble } from '../../../../src/domain/health/replication-trouble.ts';

const stamp = '2026-11-25 10:00:00.000 UTC [4711] ';
const connect = 'could not connect to the primary server: connection to server at "10.0.1.10", port 5432 failed: ';

describe('the log of a standby', () => {
  // As PostgreSQL's sources word it: walreceiver.c, libpqwalreceiver.c, auth.c, walsender.c, slot.c.
  it.each([
    ['network', `FATAL:  ${connect}Connection refused`],
    [
      'network',
      `FATAL:  could not connect to the primary server: could not translate host name "db" to address: Name or service not known`,
    ],
    ['network', 'FATAL:  terminating walreceiver due to timeout'],
    ['password', `FATAL:  ${connect}FATAL:  password authentication failed for user "replicator"`],
    ['password', `FATAL:  ${connect}fe_sendauth: no password supplied`],
    ['hba', `FATAL:  ${connect}FATAL:  no pg_hba.conf entry for replication connection from host "10.0.2.10", user "r", no encryption`],
    ['hba', `FATAL:  ${connect}FATAL:  pg_hba.conf rejects replication connection for host "10.0.2.10", user "r", SSL encryption`],
    ['role', `FATAL:  ${connect}FATAL:  must be superuser or replication role to start walsender`],
    ['role', `FATAL:  ${connect}FATAL:  permission denied to start WAL sender`],
    ['role', `FATAL:  ${connect}FATAL:  role "replicator" is not permitted to log in`],
    ['no-sender', `FATAL:  ${connect}FATAL:  number of requested standby connections exceeds max_wal_senders (currently 10)`],
    ['slot', 'FATAL:  could not start WAL streaming: ERROR:  replication slot "replica_1" does not exist'],
    ['slot', 'FATAL:  could not start WAL streaming: ERROR:  can no longer access replication slot "replica_1"'],
    ['slot', 'FATAL:  could not start WAL streaming: ERROR:  cannot read from replication slot "replica_1"'],
    [
      'wal-removed',
      'FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000003 has already been removed',
    ],
    ['other-cluster', 'FATAL:  database system identifier differs between the primary and standby'],
    ['diverged', 'LOG:  new timeline 2 forked off current database system timeline 1 before current recovery point 0/5000000'],
    ['diverged', 'FATAL:  highest timeline 1 of the primary is behind recovery timeline 2'],
  ])('tells of trouble of kind %s: %s', (kind, line) => {
    expect(lastReplicationTrouble(`${stamp}LOG:  entering standby mode\n${stamp}${line}\n`)).toEqual({ kind, line: `${stamp}${line}` });
  });

  it('tells the last trouble, and none once it streams again', () => {
    const password = `${stamp}FATAL:  ${connect}FATAL:  password authentication failed for user "replicator"`;
    const refused = `${stamp}FATAL:  ${connect}Connection refused`;
    const streams = `${stamp}LOG:  started streaming WAL from primary at 0/5000000 on timeline 1`;
    expect(lastReplicationTrouble([password, refused].join('\n'))?.kind).toBe('network');
    expect(lastReplicationTrouble([refused, streams].join('\n'))).toBeUndefined();
    expect(lastReplicationTrouble([streams, password].join('\n'))?.kind).toBe('password');
    expect(lastReplicationTrouble('')).toBeUndefined();
  });

  it('is not misled by what clients write into it', () => {
    expect(lastReplicationTrouble(`${stamp}STATEMENT:  SELECT 'Connection refused'`)).toBeUndefined();
  });
});
