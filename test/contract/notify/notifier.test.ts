import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createNotifier } from '../../../src/adapters/notify/notifier.ts';
import type { ChannelSettings, EmailSettings } from '../../../src/adapters/notify/settings.ts';
import type { Notice } from '../../../src/domain/notices/notice.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { LifeSign } from '../../../src/ports/notifier.ts';
import { HttpReceiver, MailReceiver, selfSigned } from './receivers.ts';

const CANARY = 'canary-path-4711';
const NOW = instantOfMicros(1_795_382_188_123_456n);
const NOTICE: Notice = {
  ...{ id: 'one', kind: 'failure', topic: 'run', cluster: 'main', at: NOW, runId: 'r1', code: 'DISK_FULL' },
  ...{ title: 'main: backup daily failed', cause: 'no space <left> & gone', next: 'df -h `pwd`' },
};
const EVERYWHERE = { clusters: undefined, topics: undefined };
const secretly = (text: string) => () => Promise.resolve(text);
const signal = new AbortController().signal;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function receiver(): Promise<HttpReceiver> {
  const started = await HttpReceiver.start();
  cleanUps.push(() => started.stop());
  return started;
}

/** A notifier that does not wait between attempts, and for how long it would have. */
function notifierOf(...channels: ChannelSettings[]) {
  const waits: number[] = [];
  const clock: Clock = { now: () => NOW, monotonicMs: () => 0, sleep: (ms) => Promise.resolve(void waits.push(ms)) };
  return { notifier: createNotifier({ channels, host: 'db1', clock }), waits };
}

const webhook = (url: string, changes: Partial<ChannelSettings> = {}) =>
  ({ ...EVERYWHERE, kind: 'webhook', name: 'ops', url: secretly(url), signingSecret: undefined, ...changes }) as ChannelSettings;

describe('a webhook', () => {
  it('is sent JSON that names cluster, cause and next command', async () => {
    const ops = await receiver();
    const { notifier } = notifierOf(webhook(ops.url(`/hook/${CANARY}?x=1`)));
    expect(await notifier.send(NOTICE, signal)).toEqual([{ channel: 'ops', kind: 'webhook', result: 'delivered', attempts: 1 }]);
    expect(ops.received).toMatchObject([{ method: 'POST', path: `/hook/${CANARY}?x=1` }]);
    expect(ops.received[0]?.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(ops.received[0]?.headers['x-spoke-backup-signature']).toBeUndefined();
    expect(JSON.parse(ops.received[0]?.body ?? '')).toEqual({
      ...{ schema: 1, id: 'one', kind: 'failure', topic: 'run', cluster: 'main', host: 'db1', at: '2026-11-22T21:16:28.123456Z' },
      ...{ title: 'main: backup daily failed', cause: 'no space <left> & gone', next: 'df -h `pwd`', run: 'r1', code: 'DISK_FULL' },
    });
  });

  it('can tell by a signature over time and body whom it is from', async () => {
    const ops = await receiver();
    const { notifier } = notifierOf(webhook(ops.url('/'), { signingSecret: secretly('canary-signing') }));
    await notifier.send(NOTICE, signal);
    const { headers, body } = ops.received[0]!;
    expect(headers['x-spoke-backup-timestamp']).toBe('1795382188');
    const hex = createHmac('sha256', 'canary-signing').update(`1795382188.${body}`).digest('hex');
    expect(headers['x-spoke-backup-signature']).toBe(`sha256=${hex}`);
    expect(body).not.toContain('canary-signing');
  });

  it('with user and password in its address is given them in a header', async () => {
    const ops = await receiver();
    const { notifier } = notifierOf(webhook(ops.url('/').replace('http://', 'http://spoke:p%40ss@')));
    expect(await notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered' }]);
    expect(ops.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('spoke:p@ss').toString('base64')}`);
  });

  it('that stumbles is tried again, each time after a longer wait, under the same id', async () => {
    const ops = await receiver();
    ops.answer({ status: 503 }, 'hang up', { status: 204 });
    const { notifier, waits } = notifierOf(webhook(ops.url('/')));
    expect(await notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered', attempts: 3 }]);
    expect(new Set(ops.received.map(({ body }) => body)).size).toBe(1);
    expect(waits).toHaveLength(2);
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(500 * 2 ** index);
      expect(wait).toBeLessThanOrEqual(1_500 * 2 ** index);
    }
  });

  it.each([
    [{ status: 500 }, 3, 'it answered with status 500'],
    [{ status: 429 }, 3, 'it answered with status 429'],
    [{ status: 404, body: `no hook ${CANARY}` }, 1, 'it answered with status 404'],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' } }, 1, 'it answered with status 302'],
    ['hang up', 3, expect.stringMatching(/^the connection failed \([A-Z_]+\)$/)],
  ] as const)('that answers %j is given up after %i attempts', async (answer, attempts, reason) => {
    const ops = await receiver();
    ops.answer(answer);
    const { notifier } = notifierOf(webhook(ops.url(`/${CANARY}`)));
    expect(await notifier.send(NOTICE, signal)).toEqual([{ channel: 'ops', kind: 'webhook', result: 'failed', attempts, reason }]);
    expect(ops.received).toHaveLength(attempts);
  });

  it.each([
    [`http://127.0.0.1:1/${CANARY}`, 'the connection failed'],
    [`ftp://127.0.0.1/${CANARY}`, 'its url is no http:// or https:// address'],
    [`not an address ${CANARY}`, 'its url is no http:// or https:// address'],
  ])('whose address is not of use (%#) fails without repeating it', async (url, reason) => {
    const { notifier } = notifierOf(webhook(url));
    const deliveries = await notifier.send(NOTICE, signal);
    expect(deliveries).toMatchObject([{ result: 'failed', reason }]);
    expect(JSON.stringify(deliveries)).not.toContain('canary');
  });

  it('that nobody listens for fails with the reason', async () => {
    const gone = await HttpReceiver.start();
    const url = gone.url(`/${CANARY}`);
    await gone.stop();
    const deliveries = await notifierOf(webhook(url)).notifier.send(NOTICE, signal);
    expect(deliveries).toMatchObject([{ result: 'failed', attempts: 3, reason: 'the connection failed (ECONNREFUSED)' }]);
  });

  it('whose secret cannot be read fails and says which', async () => {
    const url = () => Promise.reject(new SpokeError('SECRET_UNAVAILABLE', 'the secret ${env:X} cannot be read'));
    const { notifier } = notifierOf({ ...webhook(''), url } as ChannelSettings);
    expect(await notifier.send(NOTICE, signal)).toMatchObject([{ attempts: 1, reason: 'the secret ${env:X} cannot be read' }]);
  });

  it('is not waited for once everything is to end', async () => {
    const ops = await receiver();
    const controller = new AbortController();
    controller.abort();
    const { notifier } = notifierOf(webhook(ops.url('/')));
    expect(await notifier.send(NOTICE, controller.signal)).toMatchObject([{ result: 'failed', attempts: 1 }]);
    expect(ops.received).toEqual([]);
  });

  it('that is down keeps no other from being told', async () => {
    const ops = await receiver();
    const { notifier } = notifierOf(webhook('http://127.0.0.1:1/'), webhook(ops.url('/'), { name: 'second' }));
    expect((await notifier.send(NOTICE, signal)).map(({ result }) => result)).toEqual(['failed', 'delivered']);
  });

  it('is told only of the clusters and topics that it asked for, and of what is about all', async () => {
    const ops = await receiver();
    const { notifier } = notifierOf(webhook(ops.url('/'), { clusters: ['main'], topics: ['rpo', 'drill'] }));
    const told = async (changes: Partial<Notice>) => (await notifier.send({ ...NOTICE, ...changes }, signal)).length;
    expect(await told({ topic: 'run' })).toBe(0);
    expect(await told({ topic: 'rpo' })).toBe(1);
    expect(await told({ topic: 'rpo', cluster: 'other' })).toBe(0);
    expect(await told({ topic: undefined, cluster: undefined })).toBe(1);
  });
});

describe('Slack', () => {
  it('is sent one text, in which nothing can be taken for a link or a mention', async () => {
    const slack = await receiver();
    const { notifier } = notifierOf({ ...EVERYWHERE, kind: 'slack', name: 'chat', url: secretly(slack.url(`/services/${CANARY}`)) });
    await notifier.send({ ...NOTICE, title: 'main: <!channel> failed' }, signal);
    expect(JSON.parse(slack.received[0]?.body ?? '')).toEqual({
      text: "✖ *main: &lt;!channel&gt; failed*\nno space &lt;left&gt; &amp; gone\nNext: `df -h 'pwd'`\ndb1 · r1",
    });
  });
});

describe('a dead man’s switch', () => {
  const RUN: LifeSign = { cluster: 'main', schedule: 'daily-full', signal: 'start', runId: '20261122T211628Z-backup-k3f9' };
  const hc = (url: string, changes: Partial<ChannelSettings> = {}) =>
    ({
      kind: 'healthchecks',
      name: 'nightly',
      clusters: undefined,
      schedules: undefined,
      url: secretly(url),
      ...changes,
    }) as ChannelSettings;

  it('is pinged at start and end of a run, both with one UUID of that run', async () => {
    const switched = await receiver();
    const { notifier } = notifierOf(hc(switched.url(`/ping/${CANARY}/`)));
    for (const sign of ['start', 'success', 'failure', 'test'] as const) await notifier.signalLife({ ...RUN, signal: sign }, signal);
    await notifier.signalLife({ ...RUN, runId: 'another' }, signal);
    const asked = switched.received.map(({ path }) => new URL(path, 'http://x'));
    const paths = ['/start', '', '/fail', '/log', '/start'];
    expect(asked.map(({ pathname }) => pathname)).toEqual(paths.map((path) => `/ping/${CANARY}${path}`));
    const rids = asked.map(({ searchParams }) => searchParams.get('rid') ?? '');
    expect(rids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(rids.slice(0, 4)).size).toBe(1);
    expect(rids[4]).not.toBe(rids[0]);
  });

  it('is pinged only by the schedules that it watches', async () => {
    const switched = await receiver();
    const { notifier } = notifierOf(hc(switched.url('/x'), { schedules: ['daily-full'], clusters: ['main'] }));
    const { schedule: _schedule, ...byHand } = RUN;
    const told = async (sign: LifeSign) => (await notifier.signalLife(sign, signal)).length;
    expect(await told(RUN)).toBe(1);
    expect(await told({ ...RUN, schedule: 'incremental' })).toBe(0);
    expect(await told({ ...RUN, cluster: 'other' })).toBe(0);
    expect(await told(byHand)).toBe(0);
    expect(await told({ ...byHand, signal: 'test' })).toBe(1);
  });

  it('that answers OK although it knows no such check has not been told', async () => {
    const switched = await receiver();
    switched.answer({ status: 200, body: 'OK (not found)' });
    const { notifier } = notifierOf(hc(switched.url('/x')));
    expect(await notifier.signalLife(RUN, signal)).toMatchObject([{ result: 'failed', attempts: 1 }]);
  });

  it('is sent no notices', async () => {
    expect(await notifierOf(hc('http://127.0.0.1:1/')).notifier.send(NOTICE, signal)).toEqual([]);
  });
});

describe('mail', () => {
  const PASSWORD = 'canary-password';

  async function mailServer(options: Parameters<typeof MailReceiver.start>[0] = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'm-'));
    cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
    const { key, cert, caFile } = selfSigned(directory);
    const onAuth: NonNullable<typeof options.onAuth> = ({ username, password }, _session, done) => {
      if (password === PASSWORD) done(null, { user: username ?? '' });
      else done(new Error(`no, ${password ?? ''} is wrong`));
    };
    const server = await MailReceiver.start({ key, cert, onAuth, ...options });
    cleanUps.push(() => server.stop());
    const settings: EmailSettings = {
      ...{ ...EVERYWHERE, kind: 'email', name: 'mail', host: 'localhost', port: server.port, security: 'starttls', caFile },
      ...{ user: 'spoke', password: secretly(PASSWORD), from: 'spoke@example.org', to: ['dba@example.org', 'ops@example.org'] },
    };
    return { server, settings };
  }

  it('goes to everybody over TLS with a login, and says what happened and what to do', async () => {
    const { server, settings } = await mailServer();
    expect(await notifierOf(settings).notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered', attempts: 1 }]);
    expect(server.mails).toMatchObject([
      { from: 'spoke@example.org', to: ['dba@example.org', 'ops@example.org'], user: 'spoke', isEncrypted: true },
    ]);
    const { content } = server.mails[0]!;
    expect(content).toContain('Subject: [spoke-backup] main: backup daily failed');
    expect(content).toMatch(/^Message-ID: <[0-9a-f]{32}@spoke-backup\.invalid>\r?$/im);
    for (const line of ['no space <left> & gone', 'Next: df -h `pwd`', 'Run: r1', 'Code: DISK_FULL (docs/errors.md)', 'Host: db1'])
      expect(content).toContain(line);
  });

  it('goes over TLS from the first byte where that is asked for', async () => {
    const { server, settings } = await mailServer({ secure: true });
    expect(await notifierOf({ ...settings, security: 'tls' }).notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered' }]);
    expect(server.mails).toMatchObject([{ isEncrypted: true }]);
  });

  it('goes in the clear and without a login only where that is asked for', async () => {
    const { server, settings } = await mailServer({ hideSTARTTLS: true, authOptional: true });
    const plain = { ...settings, security: 'none', user: undefined, password: undefined } as const;
    expect(await notifierOf(plain).notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered' }]);
    expect(server.mails).toMatchObject([{ isEncrypted: false, user: undefined }]);
  });

  it('is not handed to a server that offers no TLS, nor is the password', async () => {
    let logins = 0;
    const { server, settings } = await mailServer({
      ...{ hideSTARTTLS: true, disabledCommands: ['STARTTLS'], allowInsecureAuth: true },
      onAuth: (_auth, _session, done) => {
        logins += 1;
        done(new Error('no'));
      },
    });
    const deliveries = await notifierOf(settings).notifier.send(NOTICE, signal);
    expect(deliveries).toMatchObject([{ result: 'failed' }]);
    expect([logins, server.mails]).toEqual([0, []]);
  });

  it('is not handed to a server that nobody vouches for', async () => {
    const { server, settings } = await mailServer();
    expect(await notifierOf({ ...settings, caFile: undefined }).notifier.send(NOTICE, signal)).toMatchObject([{ result: 'failed' }]);
    expect(server.mails).toEqual([]);
  });

  it('whose login is refused is tried once, and no word of the password is repeated', async () => {
    const { settings } = await mailServer();
    const deliveries = await notifierOf({ ...settings, password: secretly('canary-wrong') }).notifier.send(NOTICE, signal);
    expect(deliveries).toMatchObject([
      { result: 'failed', attempts: 1, reason: expect.stringContaining('did not accept user and password') },
    ]);
    expect(JSON.stringify(deliveries)).not.toContain('canary');
  });

  it('is a failure where one of the recipients is refused', async () => {
    const { settings } = await mailServer({
      onRcptTo: ({ address }, _session, done) => done(address.startsWith('ops') ? new Error('no such user') : null),
    });
    const deliveries = await notifierOf(settings).notifier.send(NOTICE, signal);
    expect(deliveries).toMatchObject([{ result: 'failed', attempts: 1, reason: 'the mail server refused 1 of 2 recipients' }]);
  });

  it('is tried again where the server asks for patience', async () => {
    let asked = 0;
    const { server, settings } = await mailServer({
      onMailFrom: (_address, _session, done) => {
        asked += 1;
        done(asked === 1 ? Object.assign(new Error('later'), { responseCode: 451 }) : null);
      },
    });
    expect(await notifierOf(settings).notifier.send(NOTICE, signal)).toMatchObject([{ result: 'delivered', attempts: 2 }]);
    expect(server.mails).toHaveLength(1);
  });

  it('cannot be made to have other headers or recipients by what a notice says', async () => {
    const { server, settings } = await mailServer();
    await notifierOf(settings).notifier.send({ ...NOTICE, title: 'main\r\nBcc: evil@example.org\r\n\r\nbody' }, signal);
    expect(server.mails[0]?.to).toEqual(['dba@example.org', 'ops@example.org']);
    const [headers] = (server.mails[0]?.content ?? '').split(/\r?\n\r?\n/);
    expect(headers).toContain('Subject:');
    expect(headers).not.toMatch(/^Bcc:/im);
  });

  it('ends at once where everything is to end, also while the server says nothing', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanUps.push(() => new Promise((resolve) => silent.close(resolve)));
    const controller = new AbortController();
    silent.on('connection', (socket) => {
      cleanUps.push(() => socket.destroy());
      controller.abort();
    });
    const { settings } = await mailServer();
    const { notifier } = notifierOf({ ...settings, port: (silent.address() as AddressInfo).port, host: '127.0.0.1' });
    expect(await notifier.send(NOTICE, controller.signal)).toMatchObject([{ result: 'failed', attempts: 1 }]);
  });
});
