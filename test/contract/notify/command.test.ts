import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/run-cli.ts';
import { composeNoticeDesk } from '../../../src/composition-notices.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { observationsOfRun } from '../../../src/domain/notices/observations.ts';
import { captureOutput, startCapturing } from '../../unit/cli/captured.ts';
import { HttpReceiver } from './receivers.ts';

const CANARY = 'canary-path-4711';
const printed = captureOutput();
let receiver: HttpReceiver;
let directory: string;

beforeEach(async () => {
  receiver = await HttpReceiver.start();
  directory = mkdtempSync(join(tmpdir(), 'n-'));
  startCapturing(printed);
});
afterEach(async () => {
  await receiver.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A configuration with channels that are given as YAML; SECRET is where the address of the receiver is kept. */
function writeConfiguration(channels: string): string {
  const secret = join(directory, 'url');
  writeFileSync(secret, receiver.url(`/${CANARY}`), { mode: 0o600 });
  const config = join(directory, 'config.yaml');
  const clusters = '{main: {}, other: {}}';
  writeFileSync(
    config,
    `stateDirectory: ${directory}/state\nclusters: ${clusters}\nnotices: {channels: [${channels.replaceAll('SECRET', `"\${file:${secret}}"`)}]}\n`,
  );
  chmodSync(config, 0o600);
  return config;
}

async function testNotices(channels: string, ...args: string[]): Promise<number> {
  const context = { signal: new AbortController().signal, version: '0.1.0', root: '/' };
  return runCli(['notices', 'test', '--config', writeConfiguration(channels), ...args], context);
}

describe('notices test', () => {
  it('tells every channel of the cluster that it is a test, and shows that all took it', async () => {
    const channels =
      '{kind: webhook, name: ops, url: SECRET}, {kind: slack, name: chat, url: SECRET, clusters: [other]}, {kind: healthchecks, name: hc, url: SECRET, schedules: [x]}';
    expect(await testNotices(channels, '--cluster', 'main')).toBe(0);
    expect(printed.stdout).toMatch(/^CHANNEL +KIND +RESULT +ATTEMPTS\nops +webhook +delivered +1\nhc +healthchecks +delivered +1\n$/);
    expect(receiver.received.map(({ path }) => path.split('?')[0])).toEqual([`/${CANARY}`, `/${CANARY}/log`]);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ kind: 'test', cluster: 'main', title: 'main: this is a test' });
  });

  it('ends with 3 where one of them did not take it, and says why without its address', async () => {
    receiver.answer({ status: 404, body: CANARY }, { status: 200 });
    expect(
      await testNotices('{kind: webhook, name: ops, url: SECRET}, {kind: slack, name: chat, url: SECRET}', '--cluster', 'main', '--json'),
    ).toBe(3);
    const { deliveries } = JSON.parse(printed.stdout) as { deliveries: { result: string; reason?: string }[] };
    expect(deliveries.map(({ result }) => result).toSorted()).toEqual(['delivered', 'failed']);
    expect(deliveries.find(({ reason }) => reason !== undefined)?.reason).toBe('it answered with status 404');
    expect(printed.stdout + printed.stderr).not.toContain('canary');
  });

  it('is refused where nobody is told', async () => {
    expect(await testNotices('{kind: slack, name: chat, url: SECRET, clusters: [other]}', '--cluster', 'main')).toBe(12);
    expect(printed.stderr).toContain('notices.channels');
  });

  it('wants to know which cluster is meant, and knows no other', async () => {
    expect(await testNotices('')).toBe(2);
    expect(await testNotices('', '--cluster', 'mian')).toBe(2);
    expect(receiver.received).toEqual([]);
  });
});

describe('the desk of notices of a configuration', () => {
  it('tells of a failure and of its end once each, also across restarts, and pings the switch', async () => {
    const path = writeConfiguration('{kind: webhook, name: ops, url: SECRET}, {kind: healthchecks, name: hc, url: SECRET}');
    const configuration = await loadConfiguration({ path, environment: {} });
    const faults: string[] = [];
    const started = () => composeNoticeDesk(configuration, new AbortController().signal, (fault) => faults.push(fault));
    const run = { cluster: 'main', job: 'backup daily', runId: 'r1' };
    const error = { code: 'DISK_FULL', message: 'no space', hint: 'Free space' };
    await started().signalLife({ ...run, signal: 'failure' });
    for (let times = 0; times < 3; times += 1) await started().report(observationsOfRun({ ...run, outcome: 'failed', error }));
    for (let times = 0; times < 3; times += 1) await started().report(observationsOfRun({ ...run, outcome: 'succeeded' }));
    const [ping, ...notices] = receiver.received;
    expect(ping?.path).toMatch(new RegExp(`^/${CANARY}/fail\\?rid=`));
    expect(notices.map(({ body }) => (JSON.parse(body) as { kind: string }).kind)).toEqual(['failure', 'recovery']);
    expect(faults).toEqual([]);
    expect(readFileSync(join(directory, 'state/notices.json'), 'utf8')).not.toContain('canary');
  });
});
