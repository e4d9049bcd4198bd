import { describe, expect, it } from 'vitest';
import { copyArguments, rewindArguments } from '../../../../src/domain/topology/seed-commands.ts';

describe('the commands that seed a standby', () => {
  const conninfo = 'host=db1 port=5432 user=replicator passfile=/srv/data.pgpass';

  it('name pg_rewind its target and its source, and let it fetch WAL where that is to be had', () => {
    const request = { dataDirectory: '/srv/data', conninfo, restoresWal: false };
    expect(rewindArguments(request)).toEqual(['--target-pgdata=/srv/data', `--source-server=${conninfo}`, '--progress']);
    expect(rewindArguments({ ...request, restoresWal: true, configFile: '/etc/postgresql/postgresql.conf' })).toEqual([
      '--target-pgdata=/srv/data',
      `--source-server=${conninfo}`,
      '--config-file=/etc/postgresql/postgresql.conf',
      '--restore-target-wal',
      '--progress',
    ]);
  });

  it('never let pg_basebackup ask for a password, and give it the slot only where it is the one of that server', () => {
    const argv = copyArguments({ dataDirectory: '/srv/new', conninfo });
    expect(argv).toEqual(expect.arrayContaining(['--pgdata=/srv/new', `--dbname=${conninfo}`, '--wal-method=stream', '--no-password']));
    expect(argv.some((argument) => argument.startsWith('--slot'))).toBe(false);
    expect(copyArguments({ dataDirectory: '/srv/new', conninfo, slot: 'replica_2' })).toContain('--slot=replica_2');
  });
});
