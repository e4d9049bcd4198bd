import { describe, expect, it } from 'vitest';
import { importPgbackrestConfiguration } from '../../../src/config/import-pgbackrest.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import type { ClusterConfig } from '../../../src/config/model.ts';
import { errorOf, temporaryFile } from './helpers.ts';

/** In the manner of the user guide of pgBackRest. */
const GUIDE = `# pgBackRest of the demo cluster
[demo]
pg1-path=/var/lib/postgresql/15/demo
pg1-port=5433
pg1-socket-path=/run/postgresql

[global]
process-max=4
repo1-cipher-pass=zWaf6XtpjIVZC5444yXB+cgFDFl7MxGlgkZSaoPvTGirhPygu4jOKOXf9LO4vjfO
repo1-cipher-type=aes-256-cbc
repo1-path=/var/lib/pgbackrest
repo1-retention-full=14
repo1-retention-full-type=time
repo2-path=/demo-repo
repo2-s3-bucket=demo-bucket
repo2-s3-endpoint=s3.us-east-1.amazonaws.com
repo2-s3-key=accessKey2
repo2-s3-key-secret=verySecretKey2
repo2-s3-region=us-east-1
repo2-s3-uri-style=path
repo2-storage-verify-tls=n
repo2-bundle=y
repo2-retention-full=4
repo2-type=s3
start-fast=y
`;

/** The cluster as loadConfiguration sees what the import printed. */
async function importAndLoad(ini: string, stanza?: string): Promise<{ cluster: ClusterConfig; warnings: readonly string[]; yaml: string }> {
  const { yaml, warnings } = importPgbackrestConfiguration(ini, { stanza });
  const path = await temporaryFile('config.yaml', yaml);
  const { clusters } = await loadConfiguration({ path, environment: {} });
  const [cluster] = clusters.values();
  if (cluster === undefined || clusters.size !== 1) throw new Error('not one cluster');
  return { cluster, warnings, yaml };
}

describe('a pgbackrest.conf in our words', () => {
  it('loads, and says the same', async () => {
    const { cluster } = await importAndLoad(GUIDE);
    expect(JSON.parse(JSON.stringify(cluster))).toEqual({
      name: 'demo',
      engine: 'pgbackrest',
      stanza: 'demo',
      pgbackrest: { command: 'pgbackrest', processMax: 4, compressType: 'gz', extraOptions: { 'repo2-bundle': 'y' } },
      native: { compressType: 'zst', compressLevel: 1, backupFrom: 'primary', withoutIncremental: 'full' },
      wal: { streaming: false, slot: 'spoke_demo', tailSeconds: 5, keepMib: 8192 },
      nodes: [
        {
          name: 'pg1',
          dataDirectory: '/var/lib/postgresql/15/demo',
          socketDirectory: '/run/postgresql',
          port: 5433,
          service: { manager: 'pg_ctl' },
        },
      ],
      repositories: [
        {
          name: 'repo1',
          engine: 'pgbackrest',
          index: 1,
          kind: 'local',
          path: '/var/lib/pgbackrest',
          retention: { days: 14, requireVerified: false, maxSharePercent: 50 },
          encryptionPassphrase: '${file:/etc/spoke-backup/secrets/demo-repo1-cipher-pass}',
        },
        {
          name: 'repo2',
          engine: 'pgbackrest',
          index: 2,
          kind: 's3',
          bucket: 'demo-bucket',
          endpoint: 's3.us-east-1.amazonaws.com',
          region: 'us-east-1',
          pathPrefix: '/demo-repo',
          uriStyle: 'path',
          verifyTls: false,
          keyType: 'shared',
          checksums: 'auto',
          accessKey: '${file:/etc/spoke-backup/secrets/demo-repo2-s3-key}',
          secretKey: '${file:/etc/spoke-backup/secrets/demo-repo2-s3-key-secret}',
          retention: { days: 36500, requireVerified: false, maxSharePercent: 50 },
        },
      ],
      archiving: { archiveTimeoutSeconds: 60, ack: 'all', ackTimeoutSeconds: 60 },
      restore: { keepOldDays: 7 },
      replication: { role: 'replicator', sslMode: 'prefer', allowedFrom: [] },
      pgbouncer: [],
      reseed: { maxLagMib: 16, streamTimeoutSeconds: 3600 },
      failover: { maxLagMib: 16, timeoutSeconds: 60 },
      schedules: [],
    });
  });

  it('says which line goes into which file, in the warnings and in the comments', async () => {
    const { warnings, yaml } = await importAndLoad(GUIDE);
    const file = (name: string) => `put it into /etc/spoke-backup/secrets/demo-${name}, readable by its owner only (mode 0600)`;
    expect(warnings).toEqual([
      `line 9: the value of repo1-cipher-pass was not copied: ${file('repo1-cipher-pass')}`,
      `line 17: the value of repo2-s3-key was not copied: ${file('repo2-s3-key')}`,
      `line 18: the value of repo2-s3-key-secret was not copied: ${file('repo2-s3-key-secret')}`,
      'line 23: repo2-retention-full counts backups, we count days: retention.days of repo2 was set to 36500, so that nothing expires before you set it',
      'line 25: start-fast was left out: it is written by spoke-backup from the other keys',
    ]);
    for (const warning of warnings) expect(yaml).toContain(`# ${warning}\n`);
  });

  it('prefers what the stanza says to what [global] says', async () => {
    const { cluster } = await importAndLoad('[global]\nrepo1-path=/global\n[main]\nrepo1-path=/stanza\npg1-path=/data\n');
    expect(cluster.repositories[0]).toMatchObject({ path: '/stanza' });
  });

  it('takes the key that the service encrypts with from where pgBackRest names it', async () => {
    const { cluster, warnings } = await importAndLoad(`${GUIDE}repo2-s3-kms-key-id=alias/backups\n`);
    expect(cluster.repositories[1]).toMatchObject({ serverSideEncryption: { type: 'aws:kms', kmsKeyId: 'alias/backups' } });
    expect(warnings.join()).not.toContain('kms');
  });

  it('keeps the stanza that it cannot name its cluster after', async () => {
    const { cluster } = await importAndLoad('[Demo.15]\npg1-path=/data\n');
    expect([cluster.name, cluster.stanza]).toEqual(['demo-15', 'Demo.15']);
  });

  it('understands the names that options had before there were several of a kind', async () => {
    const { cluster } = await importAndLoad('[global]\nrepo-path=/old\ncompress=n\n[main]\ndb-path=/data\ndb1-port=5433\n');
    expect(cluster.repositories[0]).toMatchObject({ path: '/old' });
    expect(cluster.nodes[0]).toMatchObject({ dataDirectory: '/data', port: 5433 });
    expect(cluster.pgbackrest.compressType).toBe('none');
  });

  it('never lets an import be the reason that a backup expires', async () => {
    for (const retention of [
      '',
      'repo1-retention-full=2',
      'repo1-retention-full=2\nrepo1-retention-full-type=count',
      'repo1-retention-full=x\nrepo1-retention-full-type=time',
    ]) {
      const { cluster, warnings } = await importAndLoad(`[global]\nrepo1-path=/b\n${retention}\n[main]\npg1-path=/data\n`);
      expect(cluster.repositories[0]?.retention.days).toBe(36_500);
      expect(warnings.join()).toContain('nothing expires before you set it');
    }
  });

  it('takes an encrypted repository for encrypted though its passphrase is elsewhere', async () => {
    const { cluster, warnings } = await importAndLoad('[global]\nrepo1-path=/b\nrepo1-cipher-type=aes-256-cbc\n[main]\npg1-path=/d\n');
    expect(cluster.repositories[0]?.encryptionPassphrase?.describe()).toBe('${file:/etc/spoke-backup/secrets/main-repo1-cipher-pass}');
    expect(warnings.join()).toContain('repo1-cipher-pass is not in the file');
  });

  it('needs no keys where the role of the machine is used, and keeps the role', async () => {
    const { cluster } = await importAndLoad(
      '[global]\nrepo1-type=s3\nrepo1-s3-bucket=bucket\nrepo1-s3-endpoint=https://s3.example.org:9000\nrepo1-s3-region=eu\nrepo1-s3-key-type=auto\nrepo1-s3-role=backup\n[main]\npg1-path=/d\n',
    );
    expect(cluster.repositories[0]).toMatchObject({ keyType: 'auto', endpoint: 's3.example.org', port: 9000 });
    expect(cluster.pgbackrest.extraOptions).toEqual({ 'repo1-s3-role': 'backup' });
  });
});

describe('what has no counterpart', () => {
  it('is left out with its line: other kinds of repositories and other hosts', async () => {
    const { cluster, warnings } = await importAndLoad(`[global]
repo1-type=azure
repo1-azure-container=x
repo2-host=backup.example.org
repo2-path=/b
repo3-path=/local
repo3-retention-full=7
repo3-retention-full-type=time
repo3-bundle=y
[main]
pg1-path=/data
pg2-host=replica.example.org
pg2-path=/data
`);
    expect(cluster.repositories.map(({ name, index }) => [name, index])).toEqual([['repo3', 1]]);
    expect(cluster.nodes.map(({ name }) => name)).toEqual(['pg1']);
    expect(cluster.pgbackrest.extraOptions).toEqual({ 'repo1-bundle': 'y' });
    expect(warnings).toEqual([
      'line 12: pg2 was left out: it is on another host, which is not supported',
      'line 2: repo1 was left out: its type azure is not supported',
      'line 4: repo2 was left out: it is on another host, which is not supported',
      'repo3 is repository 1 for pgBackRest from now on',
    ]);
  });

  it('is kept as an extra option where pgBackRest takes it in [global], else left out with its line', async () => {
    const { cluster, warnings } = await importAndLoad(`stray=1
[global]
db-timeout=600
buffer-size=4MiB
archive-push-queue-max=4GiB
log-level-file=detail
exclude=a
exclude=b
not an option
[global:archive-push]
compress-level=1
[main:backup]
process-max=8
[main]
pg1-path=/data
`);
    expect(cluster.pgbackrest.extraOptions).toEqual({
      'db-timeout': '600',
      'buffer-size': '4MiB',
      'archive-push-queue-max': '4GiB',
      exclude: 'b',
    });
    expect(warnings).toEqual([
      'line 1: stands before the first section; ignored',
      'line 9: neither a section nor name=value; ignored',
      'line 7: exclude is there again in line 8; only the last one was taken',
      'line 6: log-level-file was left out: it is written by spoke-backup from the other keys',
      'line 11: compress-level for one command alone ([global:archive-push]) was left out',
      'line 13: process-max for one command alone ([main:backup]) was left out',
    ]);
  });

  it('or cannot be read is told as something to be corrected', () => {
    const { warnings, yaml } = importPgbackrestConfiguration('[global]\nrepo1-path=relative\nprocess-max=many\n[main]\npg1-path=/data\n');
    expect(warnings).toContainEqual(
      expect.stringMatching(/^to be corrected: clusters\.main\.repositories\[0\]\.path must be an absolute path/),
    );
    expect(warnings).toContain('line 3: process-max is not a whole number; left out');
    expect(yaml).toContain('# to be corrected: ');
  });

  it('cannot break out of the comments or the YAML', async () => {
    const { cluster } = await importAndLoad('[global]\nrepo1-path=/a: {b: *c} # d\n"evil: &x=[1\n[main]\npg1-path=/data\n');
    expect(cluster.repositories[0]).toMatchObject({ path: '/a: {b: *c} # d' });
  });
});

describe('the stanza', () => {
  it('must be named where there are several', async () => {
    const ini = '[one]\npg1-path=/1\n[two:backup]\nprocess-max=1\n[two]\npg1-path=/2\n';
    expect(errorOf(() => importPgbackrestConfiguration(ini))).toMatchObject({
      code: 'USAGE',
      message: 'the file has several stanzas: it has one, two',
    });
    expect((await importAndLoad(ini, 'two')).cluster.nodes[0]).toMatchObject({ dataDirectory: '/2' });
    expect(errorOf(() => importPgbackrestConfiguration(ini, { stanza: 'three' })).message).toBe(
      'the file has no stanza three: it has one, two',
    );
  });

  it('must be there', () => {
    expect(errorOf(() => importPgbackrestConfiguration('[global]\nrepo1-path=/b\n')).code).toBe('CONFIG_INVALID');
    expect(errorOf(() => importPgbackrestConfiguration('')).code).toBe('CONFIG_INVALID');
  });
});
