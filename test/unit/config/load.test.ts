import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../../src/config/load.ts';
import { errorOf, parse, parseCluster, rejectionOf, temporaryDirectory, temporaryFile } from './helpers.ts';

const S3 = `repositories:
  - name: s3
    kind: s3
    bucket: backups
    endpoint: s3.example.org
    region: eu
    accessKey: \${env:KEY}
    secretKey: \${file:/etc/secret}
`;

describe('the defaults', () => {
  it('are seven days for a local repository and thirty for S3, in the order of the file', () => {
    const { repositories } = parseCluster(`${S3}  - {name: local, kind: local, path: /backups}`);
    expect(repositories.map(({ name, index, retention }) => [name, index, retention.days])).toEqual([
      ['s3', 1, 30],
      ['local', 2, 7],
    ]);
  });

  it('take the stanza and the path in the bucket from the name of the cluster', () => {
    const cluster = parseCluster(S3);
    expect(cluster.stanza).toBe('main');
    expect(cluster.repositories[0]).toMatchObject({ pathPrefix: '/main', uriStyle: 'host', verifyTls: true, checksums: 'auto' });
  });

  it('fill in everything that an empty cluster leaves out', () => {
    const { configuration } = parse('clusters: {main: {}}');
    expect(configuration).toEqual({
      path: '/etc/config.yaml',
      stateDirectory: '/var/lib/spoke-backup',
      daemon: { maximumRuns: 4, maximumRunsPerHost: 1, gracePeriodSeconds: 60 },
      history: { keepRuns: 1000, keepDays: 400 },
      notices: { remindAfterHours: 24, mostPerHour: 20, channels: [] },
      clusters: new Map([
        [
          'main',
          {
            name: 'main',
            engine: 'pgbackrest',
            stanza: 'main',
            pgbackrest: { command: 'pgbackrest', processMax: 2, compressType: 'zst', extraOptions: {} },
            native: { compressType: 'zst', compressLevel: 1, backupFrom: 'primary', withoutIncremental: 'full' },
            wal: { streaming: false, slot: 'spoke_main', tailSeconds: 5, keepMib: 8192 },
            nodes: [],
            repositories: [],
            archiving: { archiveTimeoutSeconds: 60, ack: 'all', ackTimeoutSeconds: 60 },
            restore: { keepOldDays: 7 },
            replication: { role: 'replicator', sslMode: 'prefer', allowedFrom: [] },
            pgbouncer: [],
            reseed: { maxLagMib: 16, streamTimeoutSeconds: 3600 },
            failover: { maxLagMib: 16, timeoutSeconds: 60 },
            schedules: [],
          },
        ],
      ]),
    });
  });

  it('give every node pg_ctl', () => {
    expect(parseCluster('nodes: [{name: one}]').nodes).toEqual([{ name: 'one', service: { manager: 'pg_ctl' } }]);
  });
});

describe('a problem', () => {
  it('with an unknown key names the nearest known one, line and column', () => {
    const text =
      'clusters:\n  main:\n    repositories:\n      - name: local\n        kind: local\n        path: /b\n        retension: {days: 3}\n';
    expect(errorOf(() => parse(text)).message).toBe('unknown key "retension" at /etc/config.yaml:7:9; did you mean "retention"?');
  });

  it.each([
    ['data_directory', 'dataDirectory'],
    ['data-directory', 'dataDirectory'],
    ['DATADIRECTORY', 'dataDirectory'],
    ['socketDir', 'socketDirectory'],
    ['prot', 'port'],
    ['nmae', 'name'],
  ])('takes %s for %s', (written, meant) => {
    expect(errorOf(() => parseCluster(`nodes: [{name: a, ${written}: /x}]`)).message).toContain(`did you mean "${meant}"?`);
  });

  it('is told of streamed WAL that would lie in the clear in an encrypted repository, and of none that would not', () => {
    const encrypted = 'repositories: [{name: a, kind: local, path: /b, encryptionPassphrase: "${env:P}"}]\n';
    const recipients = 'encryption: {recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]}\n';
    expect(errorOf(() => parseCluster(`${encrypted}wal: {streaming: true}\n`)).message).toContain('streamed WAL would lie unencrypted');
    expect(parseCluster(`${encrypted}${recipients}wal: {streaming: true}\n`).wal.streaming).toBe(true);
    expect(parseCluster(encrypted).wal.streaming).toBe(false);
  });

  it.each([
    ['{type: aws:kms}', 'serverSideEncryption.kmsKeyId is missing'],
    ['{type: AES256, kmsKeyId: one}', 'unknown key "kmsKeyId"'],
    ['{type: aes256}', 'serverSideEncryption.type must be one of AES256, aws:kms'],
    ['{type: aws:kms, kmsKeyId: "a key"}', 'serverSideEncryption.kmsKeyId must be the ID or the ARN of a key'],
  ])('is told of serverSideEncryption: %s', (encryption, problem) => {
    expect(errorOf(() => parseCluster(`${S3}    serverSideEncryption: ${encryption}`)).message).toContain(problem);
  });

  it.each(['bceb4f13-6939-4be3-910d-df54dee817b7', 'arn:aws:kms:eu-west-3:111122223333:key/mrk-1', 'alias/backups', 'minio_key.1'])(
    'is none of the key %s',
    (kmsKeyId) => {
      const { repositories } = parseCluster(`${S3}    serverSideEncryption: {type: aws:kms, kmsKeyId: ${kmsKeyId}}`);
      expect(repositories[0]).toMatchObject({ serverSideEncryption: { type: 'aws:kms', kmsKeyId } });
    },
  );

  it('with an unknown key that resembles nothing names the known ones', () => {
    const { message } = errorOf(() => parseCluster('restore: {frobnicate: 1}'));
    expect(message).toBe('unknown key "frobnicate" at /etc/config.yaml:3:15; known here: keepOldDays');
  });

  it('does not hide the others, and they come in the order of the file', () => {
    const error = errorOf(() =>
      parse(`stateDirectory: relative
timezon: Etc/UTC
clusters:
  main:
    archiving: {archiveTimeoutSeconds: 0}
    nodes:
      - {name: a, port: 99999}
      - {name: a, passwordFile: /x}
    repositories:
      - {name: r, kind: tape}
      - {name: s, kind: s3, bucket: bucket, endpoint: e, region: r}
    pgbackrest: {compressType: gz, compressLevel: 10}
`),
    );
    const problems = error.details['problems'] as { line: number; key: string; problem: string }[];
    expect(problems.map(({ line, key, problem }) => [line, key, problem])).toEqual([
      [1, 'stateDirectory', expect.stringContaining('must be an absolute path')],
      [2, 'timezon', 'unknown key "timezon"'],
      [5, 'clusters.main.archiving.archiveTimeoutSeconds', 'must be at least 1'],
      [7, 'clusters.main.nodes[0].port', 'must be at most 65535'],
      [8, 'clusters.main.nodes[1].name', 'is the name of another of the nodes already'],
      [8, 'clusters.main.nodes[1].passwordFile', 'has no use without url'],
      [10, 'clusters.main.repositories[0].kind', 'must be one of local, s3'],
      [11, 'clusters.main.repositories[1].accessKey', 'is missing (keyType is shared)'],
      [11, 'clusters.main.repositories[1].secretKey', 'is missing (keyType is shared)'],
      [12, 'clusters.main.pgbackrest.compressLevel', 'must be 0 to 9 for gz'],
    ]);
    expect(error.message.split('\n')).toHaveLength(11);
    expect(error.exitCode).toBe(10);
  });

  it('with a missing key points at what it is missing in', () => {
    const { message } = errorOf(() => parseCluster('repositories:\n  - name: local\n    kind: local'));
    expect(message).toBe('clusters.main.repositories[0].path is missing at /etc/config.yaml:4:9');
  });

  it('with the kind of a value says what it must be and what it is', () => {
    expect(errorOf(() => parseCluster('nodes: none')).message).toContain('clusters.main.nodes must be a list, not text');
    expect(errorOf(() => parseCluster('stanza: 12')).message).toContain('clusters.main.stanza must be text, not a number');
    expect(errorOf(() => parse('')).message).toContain('clusters is missing');
    expect(errorOf(() => parse('just text')).message).toContain('must be a mapping, not text');
  });

  it.each([
    ['a: "x', 'a closing quote'],
    ['clusters:\n\tmain: {}', 'indentation by tabs'],
    ['clusters: {}\nclusters: {}', 'the key "clusters" is there twice'],
    ['clusters: *main', 'an alias (*name) without an anchor'],
    ['clusters: !ruby/object {}', 'a tag (!name) that is not known'],
    ['clusters: {}\n---\nclusters: {}', 'must be one document'],
    ['? [1, 2]\n: 3', 'a key must be text'],
    ['clusters: &a {x: *a}', 'an alias'],
  ])('of YAML itself is told in plain words: %j', (text, words) => {
    const error = errorOf(() => parse(text));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(words);
    expect(error.message).toMatch(/at \/etc\/config\.yaml:\d+:\d+/);
  });
});

describe('hostile values', () => {
  const names = [
    'x; rm -rf /',
    '$(id)',
    '`id`',
    '../up',
    '..',
    '.',
    '-rf',
    '--repo',
    'a b',
    'a\nb',
    'a\u0000b',
    'a/b',
    '',
    'é',
    'A',
    'a'.repeat(64),
  ];

  it.each(names)('are refused as the name of a cluster: %j', (name) => {
    const error = errorOf(() => parse(`clusters: {${JSON.stringify(name)}: {}}`));
    expect(error.message).toContain('must be a name');
    expect(error.message).not.toMatch(/[\u0000]/);
  });

  it.each(names)('are refused as the name of a node or a repository: %j', (name) => {
    const quoted = JSON.stringify(name);
    const error = errorOf(() => parseCluster(`nodes: [{name: ${quoted}}]\nrepositories: [{name: ${quoted}, kind: local, path: /b}]`));
    expect(error.message.match(/must be a name/g)).toHaveLength(2);
  });

  it.each(names.filter((name) => name !== 'A'))('are refused as a stanza: %j', (name) => {
    expect(errorOf(() => parseCluster(`stanza: ${JSON.stringify(name)}`)).message).toContain('clusters.main.stanza must be a name');
  });

  it.each(['relative', './x', '', '~/x', '/a\nrepo1-path=/x', '/a\u0000', '/a\r', '//net/x', '/a//b', '/a ', 'C:\\x'])(
    'are refused as a path: %j',
    (path) => {
      const quoted = JSON.stringify(path);
      const body = `repositories: [{name: a, kind: local, path: ${quoted}}]\nnodes: [{name: n, dataDirectory: ${quoted}, socketDirectory: ${quoted}}]`;
      expect(errorOf(() => parseCluster(body)).message.match(/must be an absolute path/g)).toHaveLength(3);
    },
  );

  it.each(['-rf', 'a b', 'a;b', '../pgbackrest', '$(id)', 'a\nb', ''])('are refused as a program: %j', (command) => {
    expect(errorOf(() => parseCluster(`pgbackrest: {command: ${JSON.stringify(command)}}`)).message).toContain(
      'must be an absolute path or the plain name',
    );
  });

  it.each(['-x', 'a b', 'a\nb', '/x', '$(id)', ''])('are refused as a unit of systemd: %j', (unit) => {
    const body = `nodes: [{name: a, service: {manager: systemd, unit: ${JSON.stringify(unit)}}}]`;
    expect(errorOf(() => parseCluster(body)).message).toContain('must be the name of a systemd unit');
  });

  it.each(['https://s3.example.org', 's3.example.org:9000', 's3.example.org/x', '-x', 'a b', 'a\nb', ''])(
    'are refused as an endpoint: %j',
    (endpoint) => {
      const body = S3.replace('s3.example.org', JSON.stringify(endpoint));
      expect(errorOf(() => parseCluster(body)).message).toContain('must be a host name or an IPv4 address, without https://');
    },
  );

  it.each(['line\nbreak', 'a\rb', 'a\u0000b', ' ahead', 'behind '])('are refused as the value of an extra option: %j', (value) => {
    const body = `pgbackrest: {extraOptions: {buffer-size: ${JSON.stringify(value)}}}`;
    expect(errorOf(() => parseCluster(body)).message).toContain('must be one line without control characters');
  });

  it.each(['__proto__', 'constructor', 'prototype'])('that would reach into the prototype are refused as a key: %s', (key) => {
    const error = errorOf(() => parse(`clusters: {main: {pgbackrest: {extraOptions: {${key}: {polluted: y}}}}}`));
    expect(error.message).toContain(`the key "${key}" is not allowed`);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('extra options', () => {
  it('are text for pgBackRest: true and false become y and n', () => {
    const { pgbackrest } = parseCluster(
      'pgbackrest: {extraOptions: {repo1-bundle: true, repo1-hardlink: false, db-timeout: 60, repo1-bundle-size: 8MiB}}',
    );
    expect(pgbackrest.extraOptions).toEqual({
      'repo1-bundle': 'y',
      'repo1-hardlink': 'n',
      'db-timeout': '60',
      'repo1-bundle-size': '8MiB',
    });
  });

  it.each(['repo1-path', 'repo-path', 'repo12-retention-full', 'pg1-path', 'process-max', 'stanza', 'log-level-stderr'])(
    'may not be those that are written from other keys: %s',
    (option) => {
      const { message } = errorOf(() => parseCluster(`pgbackrest: {extraOptions: {${option}: x}}`));
      expect(message).toContain(`extraOptions.${option} may not be set: it is written by spoke-backup from the other keys`);
    },
  );

  it.each(['repo1-cipher-pass', 'repo1-s3-key-secret', 'repo2-azure-key'])('may not be secrets: %s', (option) => {
    expect(errorOf(() => parseCluster(`pgbackrest: {extraOptions: {${option}: hunter2}}`)).message).toContain('its value is a secret');
  });

  it.each(['Repo1-bundle', 'repo1_bundle', '-x', 'a=b', '[global]', 'a b'])('have the names of options: not %j', (option) => {
    const body = `pgbackrest: {extraOptions: {${JSON.stringify(option)}: x}}`;
    expect(errorOf(() => parseCluster(body)).message).toContain('must be the name of a pgBackRest option');
  });
});

describe('credentials of S3', () => {
  it('are not needed, and have no use, with the role of the machine', () => {
    const keyless = S3.replace(/ +accessKey[\s\S]*/, '    keyType: auto\n');
    expect(parseCluster(keyless).repositories[0]).toMatchObject({ keyType: 'auto' });
    expect(errorOf(() => parseCluster(`${S3}    keyType: auto`)).message).toContain('accessKey has no use with keyType auto');
  });
});

describe('anchors', () => {
  it('may be used again, and merged, and what is written wins over what is merged', () => {
    const { clusters } = parse(`clusters:
  one: &base
    osUser: postgres
    archiving: {archiveTimeoutSeconds: 30}
  two:
    <<: *base
    osUser: other
  three: *base
`).configuration;
    expect([...clusters.values()].map(({ osUser, archiving }) => [osUser, archiving.archiveTimeoutSeconds])).toEqual([
      ['postgres', 30],
      ['other', 30],
      ['postgres', 30],
    ]);
  });

  it('that multiply without end are refused quickly', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(', ')}]`);
    const { message } = errorOf(() => parse(`l0: &l0 x\n${levels.join('\n')}\n`));
    expect(message).toContain('more than 50000 values');
  });

  it('point problems at the place where the value is written', () => {
    const text = 'clusters:\n  one: &base\n    osUser: "a b"\n  two: *base\n';
    expect(errorOf(() => parse(text)).message).toContain(
      'clusters.one.osUser must be the name of a user of the operating system at /etc/config.yaml:3:5',
    );
  });
});

describe('precedence', () => {
  const file = 'stateDirectory: /file\ntimezone: Europe/Paris\nclusters: {main: {}}';
  const environment = { SPOKE_BACKUP_STATE_DIRECTORY: '/environment', SPOKE_BACKUP_TIMEZONE: 'Asia/Tokyo' };

  it('is flag, environment, file', () => {
    const pick = (options: Parameters<typeof parse>[1]) => {
      const { stateDirectory, timezone } = parse(file, options).configuration;
      return [stateDirectory, timezone];
    };
    expect(pick({})).toEqual(['/file', 'Europe/Paris']);
    expect(pick({ environment })).toEqual(['/environment', 'Asia/Tokyo']);
    expect(pick({ environment, flags: { timezone: 'Etc/UTC' } })).toEqual(['/environment', 'Etc/UTC']);
    expect(pick({ environment: { SPOKE_BACKUP_TIMEZONE: '' } })).toEqual(['/file', 'Europe/Paris']);
  });

  it('does not make a bad value good, and says where it came from', () => {
    const bad = { SPOKE_BACKUP_STATE_DIRECTORY: 'relative', SPOKE_BACKUP_TIMEZONE: 'Mars/Olympus' };
    const { message } = errorOf(() => parse(file, { environment: bad }));
    expect(message).toContain('stateDirectory from environment SPOKE_BACKUP_STATE_DIRECTORY must be an absolute path');
    expect(message).toContain('timezone from environment SPOKE_BACKUP_TIMEZONE must be the name of a time zone');
  });

  it.each(['Europe/Atlantis', '+02:00', '', 'Europe/Paris; x'])('refuses %j as a zone', (zone) => {
    expect(errorOf(() => parse(`timezone: ${JSON.stringify(zone)}\nclusters: {main: {}}`)).message).toContain(
      'timezone must be the name of a time zone',
    );
  });
});

describe('the file', () => {
  it('is found by flag, else by environment', async () => {
    const one = await temporaryFile('one.yaml', 'clusters: {one: {}}');
    const two = await temporaryFile('two.yaml', 'clusters: {two: {}}');
    const environment = { SPOKE_BACKUP_CONFIG: two };
    expect((await loadConfiguration({ path: one, environment })).clusters.has('one')).toBe(true);
    const loaded = await loadConfiguration({ environment });
    expect(loaded.clusters.has('two')).toBe(true);
    expect(loaded.path).toBe(two);
  });

  it('that is not there is CONFIG_NOT_FOUND, and says who named it', async () => {
    const path = join(await temporaryDirectory(), 'config.yaml');
    const flagged = await rejectionOf(loadConfiguration({ path, environment: {} }));
    expect(flagged).toMatchObject({ code: 'CONFIG_NOT_FOUND', message: `there is no configuration file ${path} (from --config)` });
    const named = await rejectionOf(loadConfiguration({ environment: { SPOKE_BACKUP_CONFIG: path } }));
    expect(named.message).toContain('(from SPOKE_BACKUP_CONFIG)');
  });

  it('is refused when it is larger than 256 KiB, no text, a directory, or a pipe that nobody writes to', async () => {
    const large = await temporaryFile('large.yaml', `# ${'x'.repeat(256 * 1024)}\nclusters: {main: {}}`);
    const binary = await temporaryFile('binary.yaml', Uint8Array.of(0x63, 0xff, 0xfe));
    const directory = await temporaryDirectory();
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const messages = [];
    for (const path of [large, binary, directory, pipe]) {
      const error = await rejectionOf(loadConfiguration({ path, environment: {} }));
      expect(error.code).toBe('CONFIG_INVALID');
      messages.push(error.message.replace(/^.*cannot be read: /, ''));
    }
    expect(messages).toEqual(['it is larger than 262144 bytes', 'it is not UTF-8 text', 'it is not a file', 'it is not a file']);
  });

  it('may nest as deep as it likes without harm', () => {
    const error = errorOf(() => parse(`clusters: ${'['.repeat(20_000)}`));
    expect(error.code).toBe('CONFIG_INVALID');
  });
});

describe('objectives', () => {
  it.each(['{rpo: 60s, rto: 30m}', '{rpoSeconds: 60, rtoSeconds: 1800}', '{rpo: 60s, rtoSeconds: 1800}'])('may be written %s', (text) => {
    expect(parseCluster(`objectives: ${text}`).objectives).toEqual({ rpoSeconds: 60, rtoSeconds: 1800 });
  });

  it('are told once, and as durations', () => {
    expect(errorOf(() => parseCluster('objectives: {rpo: 60s, rpoSeconds: 60}')).message).toContain(
      'clusters.main.objectives.rpoSeconds give either rpo or rpoSeconds, not both at /etc/config.yaml:3:',
    );
    for (const rto of ['30', '0s', 'soon'])
      expect(errorOf(() => parseCluster(`objectives: {rto: ${rto}}`)).message).toContain('objectives.rto must be a duration');
  });
});

describe('schedules', () => {
  it.each(['[daily-full, incremental, daily-full]', '[daily-full, incremental, /srv/daily-full.yaml]'])(
    'of one name are refused with their place: %s',
    (names) => {
      expect(errorOf(() => parseCluster(`schedules: ${names}`)).message).toBe(
        'clusters.main.schedules[2] is a second schedule of the name "daily-full" at /etc/config.yaml:3:42',
      );
    },
  );
});
