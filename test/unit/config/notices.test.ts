import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../../../src/config/check.ts';
import { SpokeError } from '../../../src/errors.ts';
import { everyPrint, fakeRunner, parse } from './helpers.ts';

const notices = (channels: string) =>
  `clusters: {main: {schedules: [daily-full]}}\nnotices:\n  channels:\n${channels.replaceAll(/^(?=.)/gm, '    ')}\n`;

const EMAIL = 'kind: email, name: mail, host: smtp.example.org, from: a@example.org, to: [b@example.org]';

function problemsOf(text: string): string {
  try {
    parse(text);
  } catch (thrown) {
    if (thrown instanceof SpokeError && thrown.code === 'CONFIG_INVALID') return thrown.message;
    throw thrown;
  }
  return 'none';
}

/** What checking says of the channels, and nothing else of the configuration. */
async function findingsOf(channels: string, environment: Record<string, string> = { URL: 'https://x' }) {
  const { configuration } = parse(notices(channels));
  const context = {
    environment,
    processes: fakeRunner(() => ({})),
    signal: new AbortController().signal,
    shippedSchedulesDirectory: '/nowhere',
  };
  const findings = await checkConfiguration(configuration, context);
  return findings.filter(({ path }) => path.startsWith('notices')).map(({ severity, path, message }) => `${severity} ${path} ${message}`);
}

describe('channels of notices', () => {
  it('are read with their defaults', () => {
    const { configuration } = parse(notices(`- {${EMAIL}}\n- {kind: slack, name: chat, url: "\${env:URL}", topics: [rpo]}`));
    expect(configuration.notices.channels).toMatchObject([
      { kind: 'email', name: 'mail', port: 587, security: 'starttls', to: ['b@example.org'] },
      { kind: 'slack', name: 'chat', topics: ['rpo'] },
    ]);
  });

  it.each([
    'url: https://hooks.slack.com/services/CANARY, kind: slack',
    'url: CANARY, kind: webhook',
    'url: "${env:A}CANARY", kind: healthchecks',
    'url: "${env:A}", signingSecret: CANARY, kind: webhook',
    `${EMAIL}, user: u, password: CANARY`,
  ])('are refused with a secret in place of a reference, and it is not repeated: {%s}', (channel) => {
    const problems = problemsOf(notices(`- {name: ops, ${channel.replace('name: mail, ', '')}}`));
    expect(problems).toContain('must be a reference to a secret');
    expect(problems).not.toContain('CANARY');
  });

  it.each([
    ['- {kind: pager, name: ops}', 'must be one of webhook, slack, email, healthchecks'],
    [`- {${EMAIL}, user: u}`, 'is missing (user is given)'],
    [`- {${EMAIL}, password: "\${env:P}"}`, 'is missing (password is given)'],
    [`- {${EMAIL.replace('[b@example.org]', '["b@example.org, c@example.org"]')}}`, 'must be an address'],
    [`- {${EMAIL.replace('[b@example.org]', '[]')}}`, 'must have at least 1'],
    [`- {${EMAIL}, topic: [rpo]}`, 'did you mean "topics"?'],
    [`- {${EMAIL}, topics: [rto]}`, 'must be one of'],
    [`- {${EMAIL}}\n- {kind: slack, name: mail, url: "\${env:URL}"}`, 'is the name of another of the channels already'],
  ])('%s: %s', (channels, problem) => {
    expect(problemsOf(notices(channels))).toContain(problem);
  });

  it('print their secrets as references', () => {
    const { configuration } = parse(notices('- {kind: webhook, name: ops, url: "${env:HOOK}", signingSecret: "${file:/s}"}'));
    const printed = everyPrint(configuration.notices);
    expect(printed).toContain('${env:HOOK}');
    expect(printed).toContain('${file:/s}');
  });

  it.each([
    ['- {kind: slack, name: chat, url: "${env:URL}"}', []],
    [
      '- {kind: slack, name: chat, url: "${env:GONE}"}',
      ['error notices.channels[0].url the secret ${env:GONE} cannot be read: the environment variable GONE is not set'],
    ],
    ['- {kind: slack, name: chat, url: "${env:URL}", clusters: [mian]}', ['error notices.channels[0].clusters there is no cluster mian']],
    ['- {kind: healthchecks, name: hc, url: "${env:URL}", schedules: [daily-full]}', []],
    [
      '- {kind: healthchecks, name: hc, url: "${env:URL}", schedules: [daily]}',
      ['error notices.channels[0].schedules no cluster has the schedule daily'],
    ],
    [`- {${EMAIL}, security: none}`, ['warning notices.channels[0].security what is sent to smtp.example.org is not encrypted']],
    [
      `- {${EMAIL}, security: none, user: u, password: "\${env:URL}"}`,
      ['error notices.channels[0].security what is sent to smtp.example.org is not encrypted, nor is the password'],
    ],
    [`- {${EMAIL.replace('smtp.example.org', '127.0.0.1')}, security: none}`, []],
    [`- {${EMAIL}, caFile: /no/such/file}`, ['error notices.channels[0].caFile /no/such/file cannot be read (ENOENT)']],
  ])('are checked: %s', async (channels, expected) => {
    expect(await findingsOf(channels)).toEqual(expected);
  });
});
