import { describe, expect, it } from 'vitest';
import { describeOrigins } from '../../../src/config/origin.ts';
import { parse } from './helpers.ts';

const FILE = `timezone: Europe/Paris
clusters:
  main:
    stanza: demo
    nodes:
      - name: primary
        url: postgresql://u@h/db
        passwordFile: /etc/secret
    repositories:
      - name: local
        kind: local
        path: /backups
        retention: {days: 14}
    pgbackrest: {extraOptions: {repo1-bundle: y}}
`;

function origins(options: Parameters<typeof parse>[1] = {}, file = FILE): Record<string, unknown> {
  return Object.fromEntries(describeOrigins(parse(file, options)).map(({ key, value, origin }) => [key, [value, origin]]));
}

describe('the origin of a value', () => {
  it('is its place in the file, or that it is the default', () => {
    expect(origins()).toEqual({
      stateDirectory: ['/var/lib/spoke-backup', 'default'],
      'history.keepRuns': [1000, 'default'],
      'history.keepDays': [400, 'default'],
      'notices.remindAfterHours': [24, 'default'],
      'notices.mostPerHour': [20, 'default'],
      'notices.channels': ['none', 'default'],
      'daemon.maximumRuns': [4, 'default'],
      'daemon.maximumRunsPerHost': [1, 'default'],
      'daemon.gracePeriodSeconds': [60, 'default'],
      timezone: ['Europe/Paris', '/etc/config.yaml:1:1'],
      'clusters.main.engine': ['pgbackrest', 'default'],
      'clusters.main.stanza': ['demo', '/etc/config.yaml:4:5'],
      'clusters.main.nodes[0].name': ['primary', '/etc/config.yaml:6:9'],
      'clusters.main.nodes[0].url': ['postgresql://u@h/db', '/etc/config.yaml:7:9'],
      'clusters.main.nodes[0].password': ['${file:/etc/secret}', '/etc/config.yaml:8:9'],
      'clusters.main.nodes[0].service.manager': ['pg_ctl', 'default'],
      'clusters.main.repositories[0].name': ['local', '/etc/config.yaml:10:9'],
      'clusters.main.repositories[0].engine': ['pgbackrest', 'default'],
      'clusters.main.repositories[0].kind': ['local', '/etc/config.yaml:11:9'],
      'clusters.main.repositories[0].path': ['/backups', '/etc/config.yaml:12:9'],
      'clusters.main.repositories[0].retention.days': [14, '/etc/config.yaml:13:21'],
      'clusters.main.repositories[0].retention.maxSharePercent': [50, 'default'],
      'clusters.main.repositories[0].retention.requireVerified': [false, 'default'],
      'clusters.main.pgbackrest.command': ['pgbackrest', 'default'],
      'clusters.main.pgbackrest.processMax': [2, 'default'],
      'clusters.main.pgbackrest.compressType': ['zst', 'default'],
      'clusters.main.pgbackrest.extraOptions.repo1-bundle': ['y', '/etc/config.yaml:14:33'],
      'clusters.main.archiving.ack': ['all', 'default'],
      'clusters.main.archiving.ackTimeoutSeconds': [60, 'default'],
      'clusters.main.archiving.archiveTimeoutSeconds': [60, 'default'],
      'clusters.main.native.backupFrom': ['primary', 'default'],
      'clusters.main.native.compressLevel': [1, 'default'],
      'clusters.main.native.compressType': ['zst', 'default'],
      'clusters.main.native.withoutIncremental': ['full', 'default'],
      'clusters.main.wal.slot': ['spoke_main', 'default'],
      'clusters.main.wal.streaming': [false, 'default'],
      'clusters.main.wal.keepMib': [8192, 'default'],
      'clusters.main.wal.tailSeconds': [5, 'default'],
      'clusters.main.restore.keepOldDays': [7, 'default'],
      'clusters.main.schedules': ['none', 'default'],
      'clusters.main.replication.role': ['replicator', 'default'],
      'clusters.main.replication.sslMode': ['prefer', 'default'],
      'clusters.main.replication.allowedFrom': ['none', 'default'],
      'clusters.main.pgbouncer': ['none', 'default'],
      'clusters.main.reseed.maxLagMib': [16, 'default'],
      'clusters.main.reseed.streamTimeoutSeconds': [3600, 'default'],
      'clusters.main.failover.maxLagMib': [16, 'default'],
      'clusters.main.failover.timeoutSeconds': [60, 'default'],
    });
  });

  it('is the flag or the variable that went before the file', () => {
    const environment = { SPOKE_BACKUP_TIMEZONE: 'Asia/Tokyo', SPOKE_BACKUP_STATE_DIRECTORY: '/state' };
    expect(origins({ environment, flags: { stateDirectory: '/flag' } })).toMatchObject({
      timezone: ['Asia/Tokyo', 'environment SPOKE_BACKUP_TIMEZONE'],
      stateDirectory: ['/flag', 'flag --state-directory'],
    });
  });

  it('of what an anchor brings is the place of the anchor', () => {
    const file = 'clusters:\n  one: &base\n    osUser: postgres\n  two:\n    <<: *base\n    stanza: x\n';
    expect(origins({}, file)).toMatchObject({
      'clusters.two.osUser': ['postgres', '/etc/config.yaml:3:5'],
      'clusters.two.stanza': ['x', '/etc/config.yaml:6:5'],
    });
  });
});
