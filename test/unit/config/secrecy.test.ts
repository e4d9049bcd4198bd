import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../../../src/config/check.ts';
import { importPgbackrestConfiguration } from '../../../src/config/import-pgbackrest.ts';
import { describeOrigins } from '../../../src/config/origin.ts';
import { SpokeError } from '../../../src/errors.ts';
import { clusterYaml, everyPrint, fakeRunner, parse } from './helpers.ts';

/** Long enough to occur nowhere by chance; does not begin as a path does, which would be a path. */
const secrets = fc.stringMatching(/^[A-Za-z0-9+][A-Za-z0-9+/]{15,40}$/);

/** What an operator may do with a secret by mistake: `SECRET` stands for it. */
const mistakes = [
  'nodes: [{name: a, url: "postgresql://u:SECRET@h/db"}]',
  'nodes: [{name: a, url: "postgresql://u:SECRET@x@h/db"}]',
  'nodes: [{name: a, url: "postgresql://u:12/SECRET@h/db"}]',
  'nodes: [{name: a, url: "postgresql://u:SECRET${env:X}@h/db"}]',
  'nodes: [{name: a, url: "postgresql://u@h/db?password=SECRET"}]',
  'nodes: [{name: a, url: "postgresql://u@h/db?Pass%77ord=SECRET"}]',
  'nodes: [{name: a, url: "postgresql://u@h/db?sslpassword=SECRET"}]',
  'nodes: [{name: a, url: "SECRET"}]',
  'nodes: [{name: a, url: "postgresql://u:${env:SECRET-}@h/db"}]',
  'nodes: [{name: a, passwordFile: "SECRET"}]',
  'nodes: [{name: a, passwordCommand: "SECRET"}]',
  'nodes: [{name: a, passwordCommand: ["-SECRET"]}]',
  'nodes: [{name: a, port: SECRET}]',
  ...['SECRET', '"SECRET"', '${SECRET}', '${env:SECRET!}', '${file:SECRET}', '*SECRET', '!SECRET x', '@SECRET', '"SECRET', '{SECRET'].map(
    (value) => `repositories: [{name: r, kind: local, path: /b}]\nstanza: s\nosUser: u\nrepositories_:\nrestore:\n  keepOldDays: ${value}`,
  ),
  ...[
    'SECRET',
    '"SECRET"',
    "'SECRET'",
    '${SECRET}',
    '${env:SECRET!}',
    '${file:SECRET}',
    '${env:A}SECRET',
    '*SECRET',
    '&SECRET',
    '!SECRET x',
    '@SECRET',
    '`SECRET',
    '%SECRET',
    '"SECRET',
    "'SECRET",
    '{SECRET',
    '{SECRET: 1}',
    '[SECRET',
    '[SECRET]',
    '|SECRET',
    '>SECRET',
    '- SECRET',
    '? SECRET',
    'x: SECRET',
    '"\\SECRET"',
    '{passwordCommand: SECRET}',
    '{passwordCommand: ["SECRET x"]}',
    '{command: [SECRET]}',
  ].map((value) => `repositories:\n  - name: r\n    kind: local\n    path: /b\n    encryptionPassphrase: ${value}`),
];

describe('a secret that stands in the file', () => {
  it.each(mistakes)('is refused and never repeated: %s', (mistake) => {
    fc.assert(
      fc.property(secrets, (secret) => {
        let thrown: unknown;
        try {
          parse(clusterYaml(mistake.replaceAll('SECRET', () => secret)));
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBeInstanceOf(SpokeError);
        expect(everyPrint(thrown)).not.toContain(secret);
      }),
      { numRuns: 20 },
    );
  });
});

const CONFIGURATION = clusterYaml(`nodes:
  - name: a
    url: postgresql://backup:\${env:NODE_PASSWORD}@h/db
    socketDirectory: /run
  - name: b
    url: postgresql://backup@h/db
    passwordCommand: [pass, show, b]
repositories:
  - name: local
    kind: local
    path: /backups
    encryptionPassphrase: \${env:PASSPHRASE}
  - name: s3
    kind: s3
    bucket: bucket
    endpoint: s3.example.org
    region: eu
    accessKey: \${env:ACCESS_KEY}
    secretKey: {passwordCommand: [vault, read]}
    sessionToken: \${file:/nowhere/token}
`);

describe('a secret that is referred to', () => {
  it('appears in no print of the configuration, its origins or what checking says', async () => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        const environment = { NODE_PASSWORD: secret, PASSPHRASE: `${secret}\nx`, ACCESS_KEY: secret };
        const processes = fakeRunner(({ file }) => ({ exitCode: file === 'vault' ? 1 : 0, stdout: secret, stderrTail: secret }));
        const loaded = parse(CONFIGURATION, { environment });
        const signal = new AbortController().signal;
        const findings = await checkConfiguration(loaded.configuration, {
          environment,
          processes,
          signal,
          shippedSchedulesDirectory: '/nowhere',
        });
        expect(findings.filter(({ severity }) => severity === 'error').map(({ path }) => path)).toEqual([
          'clusters.main.repositories[0].encryptionPassphrase',
          'clusters.main.repositories[1].secretKey',
          'clusters.main.repositories[1].sessionToken',
        ]);
        const clusters = [...loaded.configuration.clusters.values()];
        for (const value of [loaded, clusters, clusters[0]?.nodes, clusters[0]?.repositories, describeOrigins(loaded), findings]) {
          expect(everyPrint(value)).not.toContain(secret);
        }
        expect(inspect(structuredClone({ ...clusters[0]?.nodes[0], url: undefined }))).not.toContain(secret);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a secret in a pgbackrest.conf', () => {
  const lines = [
    'repo1-cipher-pass=SECRET',
    'repo1-cipher-pass = SECRET',
    'repo1-s3-key=SECRET\nrepo1-s3-key-secret=SECRET\nrepo1-s3-token=SECRET\nrepo1-type=s3',
    'repo2-type=azure\nrepo2-azure-key=SECRET',
    'repo1-azure-key=SECRET',
    'repo1-sftp-private-key-passphrase=SECRET',
    'repo1-s3-sse-customer-key=SECRET',
    'some-future-password=SECRET',
    'another-secret=SECRET',
    'SECRET',
    'repo1-cipher-pass=SECRET\nrepo1-cipher-pass=SECRET',
  ];

  it.each(lines)('is in neither the result nor the warnings: %j', (line) => {
    fc.assert(
      fc.property(secrets, fc.constantFrom('global', 'main', 'global:backup'), (secret, section) => {
        const ini = `[${section}]\n${line.replaceAll('SECRET', () => secret)}\n[main]\npg1-path=/data\n`;
        const { yaml, warnings } = importPgbackrestConfiguration(ini);
        expect(yaml).not.toContain(secret);
        expect(warnings.join('\n')).not.toContain(secret);
      }),
      { numRuns: 20 },
    );
  });
});
