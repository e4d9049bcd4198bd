import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkRules } from '../../../src/config/check-rules.ts';
import { checkConfiguration } from '../../../src/config/check.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { clusterYaml, fakeRunner, parse, temporaryDirectory } from './helpers.ts';

const SHIPPED = fileURLToPath(new URL('../../../schedules', import.meta.url));

const S3 = '{name: s3, kind: s3, bucket: backups, endpoint: s3.example.org, region: eu, keyType: auto}';
const LOCAL = '{name: local, kind: local, path: /backups}';
const AGE = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';
const NODE = '{name: primary, dataDirectory: /data, socketDirectory: /run}';
const SOUND = `nodes: [${NODE}]\nrepositories: [${LOCAL}, ${S3}]\n`;

function rules(text: string): string[] {
  return checkRules(parse(text).configuration).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

describe('of the configuration alone', () => {
  it('nothing is said of a sound one', () => {
    expect(rules(clusterYaml(SOUND))).toEqual([]);
  });

  it('nothing is said of nodes that have the same directory, each on a host of its own', () => {
    const node = (name: string) => `{name: ${name}, dataDirectory: /data, url: 'postgresql://${name}/postgres', ssh: {host: ${name}}}`;
    expect(rules(clusterYaml(`nodes: [${node('a')}, ${node('b')}]\nrepositories: [${S3}]`))).toEqual([]);
    expect(rules(clusterYaml(`nodes: [${node('a')}, ${node('b').replace('host: b', 'host: a')}]\nrepositories: [${S3}]`))).toEqual([
      'error clusters.main.nodes[1].dataDirectory: /data is clusters.main.nodes[0].dataDirectory already',
    ]);
  });

  it.each([
    ['no repository', `nodes: [${NODE}]`, 'error clusters.main.repositories: the cluster has no repository'],
    [
      'only local ones',
      `nodes: [${NODE}]\nrepositories: [${LOCAL}]`,
      'warning clusters.main.repositories: every repository is on this machine',
    ],
    ['no data directory', `repositories: [${S3}]`, 'warning clusters.main.nodes: no node has a dataDirectory'],
    [
      'a node that cannot be reached',
      `repositories: [${S3}]\nnodes: [{name: a, dataDirectory: /data}]`,
      'warning clusters.main.nodes[0]: a has neither url nor socketDirectory',
    ],
    [
      'two repositories in one directory, however it is written',
      `nodes: [${NODE}]\nrepositories: [${S3}, ${LOCAL}, {name: again, kind: local, path: /backups/}]`,
      'error clusters.main.repositories[2]: again is the same place as local',
    ],
    [
      'two repositories in one bucket and path',
      `nodes: [${NODE}]\nrepositories: [${S3}, ${S3.replace('name: s3', 'name: again, port: 443')}]`,
      'error clusters.main.repositories[1]: again is the same place as s3',
    ],
    [
      'a repository inside a data directory',
      `nodes: [${NODE}]\nrepositories: [${S3}, {name: in, kind: local, path: /data/backups}]`,
      'error clusters.main.repositories[1].path: the repository /data/backups is inside the data directory /data',
    ],
    [
      'a data directory inside a repository',
      `nodes: [{name: a, dataDirectory: /backups/data, socketDirectory: /run}]\nrepositories: [${S3}, ${LOCAL}]`,
      'error clusters.main.nodes[0].dataDirectory: the data directory /backups/data is inside the repository /backups',
    ],
    [
      'the root directory as a repository',
      `nodes: [${NODE}]\nrepositories: [${S3}, {name: root, kind: local, path: /}]`,
      'error clusters.main.repositories[1].path: the root directory cannot be a repository',
    ],
    [
      'two nodes with one data directory',
      `nodes: [${NODE}, {name: b, dataDirectory: /data, socketDirectory: /run}]\nrepositories: [${S3}]`,
      'error clusters.main.nodes[1].dataDirectory: /data is clusters.main.nodes[0].dataDirectory already',
    ],
    [
      'the spool inside the data directory',
      `${SOUND}pgbackrest: {spoolPath: /data/pg_wal/spool}`,
      'error clusters.main.pgbackrest.spoolPath: the spool /data/pg_wal/spool is inside the data directory /data',
    ],
    [
      'a certificate that is not verified',
      `nodes: [${NODE}]\nrepositories: [${S3.replace('}', ', verifyTls: false}')}]`,
      'warning clusters.main.repositories[0].verifyTls: whoever is between this machine and the service',
    ],
    [
      'a bucket with dots in the name of the host',
      `nodes: [${NODE}]\nrepositories: [${S3.replace('backups', 'acme.backups')}]`,
      'warning clusters.main.repositories[0].uriStyle: the certificate of s3.example.org does not cover acme.backups.s3.example.org',
    ],
    [
      'WAL that comes later than promised',
      `${SOUND}archiving: {archiveTimeoutSeconds: 300}\nobjectives: {rpoSeconds: 60}`,
      'warning clusters.main.objectives.rpoSeconds: WAL reaches the repositories only every 300 s',
    ],
    [
      'a limit that drops WAL',
      `${SOUND}pgbackrest: {extraOptions: {archive-push-queue-max: 4GiB}}`,
      'warning clusters.main.pgbackrest.extraOptions.archive-push-queue-max: PostgreSQL is told that WAL was archived when it was dropped',
    ],
    [
      'an option of a repository that does not exist',
      `${SOUND}pgbackrest: {extraOptions: {repo3-bundle: y, repo2-bundle: y}}`,
      'error clusters.main.pgbackrest.extraOptions.repo3-bundle: there is no repository 3',
    ],
    [
      "an option of pgBackRest's second repository, where its first is the cluster's second",
      `nodes: [${NODE}]\nrepositories: [{name: own, kind: local, path: /own, engine: native}, ${S3}]\npgbackrest: {extraOptions: {repo2-bundle: y}}`,
      'error clusters.main.pgbackrest.extraOptions.repo2-bundle: there is no repository 2',
    ],
    [
      'what is said to pgBackRest where it keeps nothing',
      `engine: native\n${SOUND}pgbackrest: {processMax: 4}`,
      'warning clusters.main.pgbackrest: has no use: pgBackRest keeps none of the repositories',
    ],
    [
      'what is said to the native engine where it keeps nothing',
      `${SOUND}native: {withoutIncremental: nothing}`,
      'warning clusters.main.native: has no use: none of the repositories is native',
    ],
    [
      "encryption that does not reach pgBackRest's repositories",
      `${SOUND}encryption: {recipients: [${AGE}]}`,
      'warning clusters.main.encryption: does not encrypt what pgBackRest keeps: local, s3',
    ],
    [
      'encryption by the service that pgBackRest cannot ask for',
      `nodes: [${NODE}]\nrepositories: [${LOCAL}, ${S3.replace('}', ', serverSideEncryption: {type: AES256}}')}]`,
      'warning clusters.main.repositories[1].serverSideEncryption: pgBackRest cannot ask for AES256',
    ],
    [
      'encryption whose private key is not here',
      `engine: native\n${SOUND}encryption: {recipients: [${AGE}]}`,
      'warning clusters.main.encryption.identityFile: without it nothing that is encrypted can be restored or verified here',
    ],
  ])('%s is found', (_name, body, expected) => {
    const found = rules(clusterYaml(body));
    expect(found.filter((finding) => finding.startsWith(expected))).toHaveLength(1);
  });

  it.each([
    ['by a key that pgBackRest can name', '{type: aws:kms, kmsKeyId: alias/backups}', 'pgbackrest'],
    ['that the native engine asks for', '{type: AES256}', 'native'],
  ])('nothing is said of encryption by the service %s', (_name, encryption, engine) => {
    const repository = S3.replace('}', `, serverSideEncryption: ${encryption}}`);
    expect(rules(clusterYaml(`engine: ${engine}\nnodes: [${NODE}]\nrepositories: [${LOCAL}, ${repository}]`))).toEqual([]);
  });

  it('nothing is said of two engines in one place, which keep their own apart', () => {
    const own = LOCAL.replace('name: local', 'name: own, engine: native');
    expect(rules(clusterYaml(`nodes: [${NODE}]\nrepositories: [${LOCAL}, ${own}, ${S3}]`))).toEqual([]);
  });

  it('the same stanza of two clusters in the same place is found; another stanza or place is fine', () => {
    const cluster = (name: string, stanza: string, data: string) =>
      `  ${name}:\n    stanza: ${stanza}\n    nodes: [{name: a, dataDirectory: ${data}, socketDirectory: /run}]\n    repositories: [${S3.replace('}', ', pathPrefix: /shared}')}]\n`;
    expect(rules(`clusters:\n${cluster('one', 'a', '/1')}${cluster('two', 'b', '/2')}`)).toEqual([]);
    expect(rules(`clusters:\n${cluster('one', 'a', '/1')}${cluster('two', 'a', '/2')}`)).toEqual([
      'error clusters.two.repositories[0]: the cluster one writes to the same stanza a in the same place',
    ]);
  });

  it('the state directory inside a data directory is found', () => {
    expect(rules(`stateDirectory: /data/state\n${clusterYaml(SOUND)}`)).toEqual([
      'error stateDirectory: the state directory /data/state is inside the data directory /data (clusters.main.nodes[0].dataDirectory)',
    ]);
  });
});

describe('of what it refers to', () => {
  async function check(body: string, prepare: (directory: string) => Promise<void> = async () => {}) {
    const directory = await temporaryDirectory();
    await prepare(directory);
    const path = join(directory, 'config.yaml');
    await writeFile(path, clusterYaml(body.replaceAll('DIR', directory)), { mode: 0o600 });
    const configuration = await loadConfiguration({ path, environment: {} });
    const processes = fakeRunner(() => ({ exitCode: 3 }));
    const signal = new AbortController().signal;
    const findings = await checkConfiguration(configuration, {
      environment: { SET: 'x' },
      processes,
      signal,
      shippedSchedulesDirectory: SHIPPED,
    });
    return findings.map(({ severity, path: key, message }) => `${severity} ${key}: ${message.replaceAll(directory, 'DIR')}`);
  }
  const nodes = 'nodes: [{name: a, dataDirectory: DIR, socketDirectory: /run}]';

  it('nothing is said when everything is there', async () => {
    const s3 = S3.replace('keyType: auto', 'accessKey: "${env:SET}", secretKey: "${env:SET}", caFile: DIR/ca.pem');
    const body = `${nodes}\nrepositories: [${s3}]\nschedules: [daily-full, incremental, weekly-verify]\npgbackrest: {command: DIR/tool}\npostgresqlBinDirectory: DIR`;
    const found = await check(body, async (directory) => {
      await writeFile(join(directory, 'ca.pem'), '-----BEGIN CERTIFICATE-----\n');
      for (const program of ['tool', 'pg_ctl']) await writeFile(join(directory, program), '', { mode: 0o755 });
    });
    expect(found).toEqual([]);
  });

  it('secrets that cannot be read are found, each at its key', async () => {
    const s3 = S3.replace(
      'keyType: auto',
      'accessKey: "${env:UNSET}", secretKey: {passwordCommand: [pass]}, encryptionPassphrase: "${file:DIR/open}"',
    );
    const body = `nodes: [{name: a, dataDirectory: DIR, url: "postgresql://u@h/d", passwordFile: DIR/absent}]\nrepositories: [${s3}]`;
    const found = await check(body, async (directory) => {
      await writeFile(join(directory, 'open'), 'x');
      await chmod(join(directory, 'open'), 0o644);
    });
    expect(found).toEqual([
      'error clusters.main.nodes[0].password: the secret ${file:DIR/absent} cannot be read: DIR/absent cannot be opened (ENOENT)',
      'error clusters.main.repositories[0].encryptionPassphrase: the secret ${file:DIR/open} cannot be read: DIR/open is open to others than its owner (mode 0644)',
      'error clusters.main.repositories[0].accessKey: the secret ${env:UNSET} cannot be read: the environment variable UNSET is not set',
      'error clusters.main.repositories[0].secretKey: the secret passwordCommand: pass cannot be read: pass ended with exit code 3',
    ]);
  });

  it('files and programs that are not there are found, and a CA file without a certificate', async () => {
    const s3 = S3.replace('}', ', caFile: DIR/ca.pem}');
    const body = (file: string) =>
      `nodes: [{name: a, dataDirectory: DIR/gone, socketDirectory: /run}]\nrepositories: [${file}]\npgbackrest: {command: DIR/tool}\npostgresqlBinDirectory: DIR`;
    expect(await check(body(s3))).toEqual([
      'error clusters.main.pgbackrest.command: there is no program DIR/tool',
      'error clusters.main.postgresqlBinDirectory: there is no pg_ctl in DIR',
      'error clusters.main.repositories[0].caFile: DIR/ca.pem cannot be read (ENOENT)',
      'warning clusters.main.nodes[0].dataDirectory: there is no directory DIR/gone',
    ]);
    const found = await check(`${nodes}\nrepositories: [${s3}]`, (directory) => writeFile(join(directory, 'ca.pem'), 'x'));
    expect(found).toEqual(['error clusters.main.repositories[0].caFile: DIR/ca.pem holds no certificate in PEM format']);
  });

  it('schedules that are wrong, absent, or name other repositories are found with their place', async () => {
    const body = `${nodes}\nrepositories: [${S3}]\nschedules: [wrong, absent, other]`;
    const found = await check(body, async (directory) => {
      await mkdir(join(directory, 'schedules'));
      const valid = 'kind: backup\ntype: full\ncron: "0 2 * * *"\n';
      await writeFile(join(directory, 'schedules', 'wrong.yaml'), `${valid}tipe: x\n`);
      await writeFile(join(directory, 'schedules', 'other.yaml'), `${valid}repositories: [s3, tape]\n`);
    });
    expect(found).toEqual([
      'error clusters.main.schedules[0]: unknown key "tipe" at DIR/schedules/wrong.yaml:4:1; did you mean "type"?',
      `error clusters.main.schedules[1]: there is no schedule absent: looked for DIR/schedules/absent.yaml and ${SHIPPED}/absent.yaml`,
      'error clusters.main.schedules[2]: the schedule other names the repository tape, which the cluster main does not have',
    ]);
  });

  it('schedules that would never begin, or begin later than the next, or are of drills are found', async () => {
    const body = `${nodes}\nrepositories: [${S3}]\nschedules: [always, late, nightly-drill, daily-full]`;
    const found = await check(body, async (directory) => {
      await mkdir(join(directory, 'schedules'));
      const hourly = 'kind: backup\ntype: incr\ncron: "0 * * * *"\n';
      const day = '[{from: "00:00", to: "13:00"}, {from: "12:00", to: "24:00"}]';
      await writeFile(join(directory, 'schedules', 'always.yaml'), `${hourly}blackouts: ${day}\n`);
      await writeFile(join(directory, 'schedules', 'late.yaml'), `${hourly}jitter: 1h\n`);
    });
    expect(found).toEqual([
      'error clusters.main.schedules[0]: the blackouts of DIR/schedules/always.yaml leave no time free: it would never begin',
      'error clusters.main.schedules[1]: the jitter of DIR/schedules/late.yaml is not shorter than the 1h00m between two of its runs',
      `error clusters.main.schedules[2]: ${SHIPPED}/nightly-drill.yaml is of kind drill, and this version has no drills yet`,
    ]);
  });

  it('incrementals without a schedule of full backups are found', async () => {
    expect(await check(`${nodes}\nrepositories: [${S3}]\nschedules: [incremental]`)).toEqual([
      'warning clusters.main.schedules: no schedule takes full backups into s3: all that come after it rest on the first',
    ]);
  });

  it.each([
    [0o664, 'warning'],
    [0o646, 'error'],
  ])('a file that others can change is found: mode %o', async (mode, severity) => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'config.yaml');
    await writeFile(path, clusterYaml(`${nodes.replace('DIR', directory)}\nrepositories: [${S3}]`));
    await chmod(path, mode);
    const configuration = await loadConfiguration({ path, environment: {} });
    const context = { environment: {}, processes: fakeRunner(() => ({})), signal: new AbortController().signal };
    const findings = await checkConfiguration(configuration, { ...context, shippedSchedulesDirectory: SHIPPED });
    expect(findings).toMatchObject([{ severity, hint: `chmod go-w ${path}` }]);
  });
});
