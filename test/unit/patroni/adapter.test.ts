import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { mkdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createPatroni } from '../../../src/adapters/patroni/adapter.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import { SpokeError } from '../../../src/errors.ts';
import { makeCertificate } from '../../../src/lab/s3-server/certificate.ts';

const PASSWORD = 'the "password" é';
const PATRONI = { version: '3.0.2', scope: 'main' };
const MEMBERS = [
  { name: 'a', role: 'leader', state: 'running', api_url: 'http://127.0.0.1:1/patroni', host: '10.0.0.1', port: 5432, timeline: 1 },
];

type Answer = readonly [status: number, body: unknown] | 'break' | 'hang';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that answers by path and writes down what it was asked. */
async function serve(answers: Readonly<Record<string, Answer>>, tls?: { readonly key: string; readonly cert: string }) {
  const asked: IncomingMessage[] = [];
  const handle: Parameters<typeof createServer>[1] = (request, response) => {
    asked.push(request);
    const answer = answers[`${request.method ?? ''} ${request.url ?? ''}`] ?? [404, 'not here'];
    if (answer === 'hang') return;
    if (answer === 'break') return void request.socket.destroy();
    const [status, body] = answer;
    response.writeHead(status, status === 302 ? { location: String(body) } : {});
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, asked };
}

const well = (members: readonly unknown[] = MEMBERS): Readonly<Record<string, Answer>> => ({
  'GET /patroni': [200, { state: 'running', patroni: PATRONI }],
  'GET /cluster': [200, { members }],
  'GET /history': [200, []],
});

const patroniAt = (urls: readonly string[], more: { readonly caFile?: string } = {}) =>
  createPatroni({
    access: { urls, scope: 'main', credentials: async () => ({ user: 'spoke', password: PASSWORD }), ...more },
    clock: createSystemClock(),
  });
const context = { signal: new AbortController().signal, timeoutMs: 2_000 };
/** A port that nobody listens on: the one of tcpmux, which nothing has. */
const NOWHERE = 'http://127.0.0.1:1';

describe('what Patroni answers', () => {
  it('is read as its documentation has it, and what is missing or unknown is left out', async () => {
    const odd = { name: 'b', role: 'quorum_standby', state: '', lag: 'unknown', pending_restart: true, api_url: 'nonsense' };
    const answers = {
      ...well([...MEMBERS, odd]),
      'GET /history': [200, [[1, 83886464, 'no recovery target specified', '2026-11-25T10:00:00+00:00', 'a'], [2, 1], 'what?']] as const,
    };
    const { url } = await serve(answers);
    const view = await patroniAt([url]).observe(context);
    expect(view.members).toEqual([
      {
        name: 'a',
        role: 'leader',
        state: 'running',
        host: '10.0.0.1',
        port: 5432,
        apiUrl: 'http://127.0.0.1:1',
        timeline: 1,
        pendingRestart: false,
      },
      { name: 'b', role: 'sync standby', state: 'unknown', pendingRestart: true },
    ]);
    expect(view.history[0]).toEqual({
      timeline: 1,
      lsn: 83886464n,
      reason: 'no recovery target specified',
      at: '2026-11-25T10:00:00+00:00',
      newLeader: 'a',
    });
    expect(view.history).toHaveLength(2);
  });

  it.each<[string, Answer]>([
    ['is no JSON', [200, '<html>']],
    ['is JSON of something else', [200, { status: 'ok' }]],
    ['is an error', [502, 'bad gateway']],
    ['is a redirection, which is not followed', [302, 'http://127.0.0.1:1/patroni']],
    ['has no end', [200, 'x'.repeat(5 * 1024 * 1024)]],
    ['breaks off', 'break'],
  ])('counts for nothing where it %s', async (_what, answer) => {
    const { url } = await serve({ 'GET /patroni': answer });
    await expect(patroniAt([url]).observe(context)).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE', exitCode: 22 });
  });

  it('is waited for no longer than the limit, and not at all once it is cancelled', async () => {
    const { url } = await serve({ 'GET /patroni': 'hang' });
    await expect(patroniAt([url]).observe({ ...context, timeoutMs: 100 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    const reason = new SpokeError('CANCELLED', 'by hand');
    await expect(patroniAt([url]).observe({ ...context, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('comes from whichever URL has it, whatever the others do', async () => {
    const hanging = await serve({ 'GET /patroni': 'hang', 'GET /cluster': 'hang', 'GET /history': 'hang' });
    const blind = await serve({ ...well(), 'GET /cluster': 'break' });
    const seeing = await serve(well());
    const view = await patroniAt([NOWHERE, hanging.url, blind.url, seeing.url]).observe(context);
    expect(view).toMatchObject({ url: seeing.url, members: [{ name: 'a' }] });
    expect(view.storeFault).toBeUndefined();
  });

  it('names every URL where none has it', async () => {
    const broken = await serve({ 'GET /patroni': 'break' });
    const failing = patroniAt([NOWHERE, broken.url]).observe(context);
    await expect(failing).rejects.toThrow(/127\.0\.0\.1:1 .*ECONNREFUSED.*; Patroni at .* does not answer/);
  });
});

describe('what is asked of Patroni', () => {
  const CHANGE = { leader: 'a', candidate: 'b' };
  const switchover = (urls: readonly string[]) => patroniAt(urls).switchover(CHANGE, context);

  it('goes to the next URL where nothing can have reached the one before', async () => {
    const { url, asked } = await serve({ ...well(), 'POST /switchover': [200, 'Successfully switched over to "b"'] });
    await switchover([NOWHERE, url]);
    expect(asked.map(({ method }) => method)).toEqual(['POST']);
    expect(asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from(`spoke:${PASSWORD}`).toString('base64')}`);
  });

  it('is asked once where it may have been understood', async () => {
    const broken = await serve({ 'POST /switchover': 'break' });
    const other = await serve({ 'POST /switchover': [200, 'Successfully switched over to "b"'] });
    await expect(switchover([broken.url, other.url])).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE' });
    expect(other.asked).toEqual([]);
  });

  it.each<[string, Answer, string]>([
    ['another took over', [200, 'Switched over to "c" instead of "b"'], 'PATRONI_FAILED'],
    ['it refuses', [412, 'candidate does not exists'], 'PATRONI_FAILED'],
    ['it does not know how it ended', [503, 'Switchover status unknown'], 'PATRONI_FAILED'],
    ['it does not let us in', [401, 'no auth header received'], 'PATRONI_DENIED'],
    ['an allow list keeps us out', [403, 'Access is denied'], 'PATRONI_DENIED'],
  ])('has failed where %s', async (_why, answer, code) => {
    const { url } = await serve({ 'POST /switchover': answer });
    await expect(switchover([url])).rejects.toMatchObject({ code, message: expect.stringContaining(String(answer[1])) });
  });

  it('is not repeated where the password is wrong', async () => {
    const closed = await serve({ 'POST /switchover': [401, 'no'] });
    const other = await serve({ 'POST /switchover': [200, 'Successfully'] });
    await expect(switchover([closed.url, other.url])).rejects.toMatchObject({ code: 'PATRONI_DENIED' });
    expect(other.asked).toEqual([]);
  });
});

describe('a Patroni that speaks TLS', () => {
  async function withCertificate() {
    const directory = join(tmpdir(), 'tls');
    await mkdir(directory);
    const signal = new AbortController().signal;
    const made = await makeCertificate(directory, { processes: createProcessRunner(), signal, report: () => undefined });
    return { caFile: made.caFile, key: await readFile(made.keyFile, 'utf8'), cert: await readFile(made.certificateFile, 'utf8') };
  }

  it('is believed by the authority of the configuration alone, and its members get no password in plain text', async () => {
    const { caFile, key, cert } = await withCertificate();
    const member = await serve(well());
    const answers = well([{ ...MEMBERS[0], api_url: `${member.url}/patroni` }]);
    const { url } = await serve(answers, { key, cert });
    expect((await patroniAt([url], { caFile }).observe(context)).scope).toBe('main');
    await expect(patroniAt([url]).observe(context)).rejects.toMatchObject({ code: 'PATRONI_DENIED' });
    await expect(patroniAt([url], { caFile: `${caFile}.absent` }).observe(context)).rejects.toMatchObject({ code: 'PATRONI_DENIED' });
    await expect(patroniAt([url], { caFile }).reinitialize('a', context)).rejects.toThrow(/no TLS/);
    expect(member.asked).toEqual([]);
    await rm(dirname(caFile), { recursive: true });
  });
});
