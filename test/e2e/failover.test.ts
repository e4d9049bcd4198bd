import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Document } from 'yaml';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { type Lab, querySocket, until } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { readEndpoints } from './support/front.ts';
import { acknowledgedIn, nodesOf, recoveryOf, untilTheyStream, useFrontedLab, writableNodes } from './support/fronted-lab.ts';
import { descendantsOf, postmasterOf } from './support/processes.ts';
import { errorOf, runTool } from './support/tool.ts';

/** A primary that is killed while its standbys are behind: what is lost is what was said, and there are never two that take writes. */
const theLab = useFrontedLab();
const ONE_AT_A_TIME = { timeout: 240_000 };
const ROWS = 25;
const NOBODY_LISTENS = 'postgresql://postgres@127.0.0.1:1/postgres';

interface Change {
  readonly primary: string;
  readonly timeline: number;
  readonly failures: readonly unknown[];
  readonly lostWal: { readonly fromLsn: string; readonly toLsn: string; readonly bytes: number; readonly isExact: boolean };
}

/** Everything of the primary is out of sight: as if it were on a host that does not answer. */
async function withoutPrimary(lab: Lab, name: string, node: string, more: (document: Document.Parsed) => void = () => undefined) {
  return configurationWith(lab, name, (document) => {
    const at = ['clusters', 'lab', 'nodes', nodesOf(lab).indexOf(node)];
    document.setIn([...at, 'url'], NOBODY_LISTENS);
    for (const key of ['dataDirectory', 'socketDirectory', 'port']) document.deleteIn([...at, key]);
    document.deleteIn(['clusters', 'lab', 'repositories']);
    more(document);
  });
}

async function refusalOf(config: string, ...argv: string[]) {
  return errorOf(await runTool([...argv, '--confirm', 'lab', '--json'], { config }));
}

/** From now on it receives nothing, as if its cable had been cut. */
async function cutOff(lab: Lab, node: string): Promise<void> {
  await querySocket(lab.node(node), `ALTER SYSTEM SET primary_conninfo = ''`);
  await querySocket(lab.node(node), 'SELECT pg_reload_conf()');
  await until(`${node} receives nothing`, async () => (await querySocket(lab.node(node), 'SELECT FROM pg_stat_wal_receiver')).length === 0);
}

/** kill -9 of the postmaster, and its children gone. */
async function kill(lab: Lab, node: string): Promise<void> {
  const [pid = 0] = postmasterOf(lab.node(node).dataDirectory);
  const children = descendantsOf(pid);
  process.kill(pid, 'SIGKILL');
  await until(`${node} is gone`, async () => children.every((child) => !isAlive(child)));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('is refused while the primary answers, or still feeds a standby whatever the operator says', ONE_AT_A_TIME, async () => {
  const { lab } = theLab();
  const { name } = lab.primary;
  expect(await lab.error('failover', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
  const config = await withoutPrimary(lab, 'out-of-sight', name);
  const lie = await refusalOf(config, 'failover', '--i-fenced-it', name);
  expect(lie).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
  expect(lie.message).toContain('still streams from');
  expect(await writableNodes(lab)).toEqual([name]);
});

test('is refused where the primary may still take writes, and where the command that fences it fails', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const { name } = lab.primary;
  await cutOff(lab, 'replica-1');
  await writer.more(ROWS);
  await cutOff(lab, 'replica-2');
  await writer.more(ROWS);
  const unfenced = await refusalOf(await withoutPrimary(lab, 'unfenced', name), 'failover');
  expect(unfenced).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
  expect(unfenced.message).toContain('may still accept writes');
  const failing = await withoutPrimary(lab, 'fence-fails', name, (document) => {
    document.setIn(['clusters', 'lab', 'failover'], { fenceCommand: ['/bin/false', '{node}'] });
  });
  const unfencedStill = await refusalOf(failing, 'failover');
  expect(unfencedStill).toMatchObject({ code: 'TOOL_FAILED' });
  await lab.json('runs', 'cancel', String(unfencedStill.details['run']));
  expect(await writableNodes(lab)).toEqual([name]);
});

test('takes the standby that has most, and loses exactly what it said', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const old = lab.primary;
  await writer.more(ROWS);
  await kill(lab, old.name);
  const before = [...writer.acknowledged];
  const done = await lab.json<Change>('failover', '--confirm', 'lab', '--no-backup');
  expect(done).toMatchObject({ primary: 'replica-2', timeline: 2, failures: [], lostWal: { isExact: true } });
  await writer.more(ROWS);
  const present = await acknowledgedIn(lab, 'replica-2');
  const [from, to] = [parseLsn(done.lostWal.fromLsn), parseLsn(done.lostWal.toLsn)];
  // A commit lies between where the WAL ended before it and where it ended before the next one.
  const commits = before.map(({ n, lsnBefore }, index) => ({ n, after: lsnBefore, until: before[index + 1]?.lsnBefore ?? to }));
  const missing = commits.filter(({ n }) => !present.has(n));
  expect(missing.length).toBeGreaterThanOrEqual(ROWS);
  expect(missing.filter(({ after, until: end }) => end <= from || after >= to)).toEqual([]);
  expect(commits.filter(({ n, after }) => present.has(n) && after >= from)).toEqual([]);
  expect(await readEndpoints(lab)).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${lab.node('replica-2').port}/`);
  expect(await readEndpoints(lab)).not.toContain(`:${old.port}/`);
  await untilTheyStream(lab, 'replica-2', ['replica-1']);
  expect(await writableNodes(lab)).toEqual(['replica-2']);
});

test('leaves the old primary so that whoever starts it has a standby', ONE_AT_A_TIME, async () => {
  const { lab } = theLab();
  const old = lab.primary;
  expect(await lab.isRunning(old.dataDirectory)).toBe(false);
  await expect(readFile(join(old.dataDirectory, 'standby.signal'), 'utf8')).resolves.toBe('');
  await lab.start(old.dataDirectory, old);
  expect(await recoveryOf(lab)).toMatchObject({ [old.name]: true });
  expect(await writableNodes(lab)).toEqual(['replica-2']);
  await lab.stop(old.dataDirectory);
});

test('promotes nobody while the old primary only hangs, and goes on once it has really stopped', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const { dataDirectory } = lab.node('replica-2');
  const [pid = 0] = postmasterOf(dataDirectory);
  const config = await configurationWith(lab, 'in-a-hurry', (document) => {
    document.setIn(['clusters', 'lab', 'failover'], { timeoutSeconds: 5 });
  });
  const before = await acknowledgedIn(lab, 'replica-2');
  const acknowledged = writer.acknowledged.filter(({ n }) => before.has(n));
  process.kill(pid, 'SIGSTOP');
  try {
    const hung = await refusalOf(config, 'failover', '--no-backup');
    expect(['TIMED_OUT', 'TOOL_FAILED', 'POSTGRES_FAILED', 'REFUSED_SERVER_RUNNING']).toContain(hung.code);
    expect(await querySocket(lab.node('replica-1'), 'SELECT pg_is_in_recovery() AS r')).toEqual([{ r: true }]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until('it has stopped', async () => !(await lab.isRunning(dataDirectory)));
  const done = await lab.json<Change>('runs', 'resume');
  expect(done).toMatchObject({ primary: 'replica-1', timeline: 3, failures: [] });
  await writer.more(ROWS);
  expect(await writableNodes(lab)).toEqual(['replica-1']);
  const present = await acknowledgedIn(lab, 'replica-1');
  const commits = acknowledged.map(({ n }, index) => ({ n, until: acknowledged[index + 1]?.lsnBefore }));
  const from = parseLsn(done.lostWal.fromLsn);
  expect(commits.filter(({ n, until: end }) => !present.has(n) && end !== undefined && end <= from)).toEqual([]);
});
