import { expect, test } from 'vitest';
import { readEndpoints } from './support/front.ts';
import { acknowledgedIn, nodesOf, recoveryOf, untilTheyStream, useFrontedLab, writableNodes } from './support/fronted-lab.ts';
import { interruptAt, type Moment } from './support/kill.ts';
import { descendantsOf, postmasterOf } from './support/processes.ts';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { type Lab, until } from '../harness/lab.ts';

/** A failover whose process is killed once in every step, each time by the process that goes on with it. */
const theLab = useFrontedLab();
const ONE_AT_A_TIME = { timeout: 240_000 };

interface Change {
  readonly run: string;
  readonly lostWal: { readonly fromLsn: string; readonly toLsn: string; readonly isExact: boolean };
}

/** In the order of a failover from FROM to TO; THIRD is the standby that stays one, where there is one. */
const MOMENTS: readonly Moment[] = [
  { step: 'stop-primary FROM' },
  { step: 'compare-candidates' },
  { step: 'promote-standby' },
  { step: 'repoint-pgbouncer front' },
  { step: 'publish-endpoints' },
  { step: 'configure-server THIRD' },
  { step: 'check-streaming THIRD' },
];

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** kill -9 of the postmaster, and its children gone. */
async function kill(lab: Lab, node: string): Promise<void> {
  const [pid = 0] = postmasterOf(lab.node(node).dataDirectory);
  const children = descendantsOf(pid);
  process.kill(pid, 'SIGKILL');
  await until(`${node} is gone`, async () => children.every((child) => !isAlive(child)));
}

async function hasSucceeded(run: string): Promise<boolean> {
  const { runs } = await theLab().lab.json<{ runs: readonly { readonly run: string; readonly outcome: string }[] }>('runs');
  return runs.find((one) => one.run === run)?.outcome === 'succeeded';
}

test('a failover that is killed in each of its steps comes to its end, and loses what it says', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const [from = '', to = '', third = ''] = nodesOf(lab);
  await untilTheyStream(lab, from, [to, third]);
  await writer.more(20);
  await kill(lab, from);
  const before = [...writer.acknowledged];
  let run: string | undefined;
  let argv: readonly string[] = ['failover', '--to', to, '--confirm', 'lab', '--no-backup'];
  for (const { step } of MOMENTS) {
    const killed = await interruptAt(lab, argv, { step: step.replace('FROM', from).replace('THIRD', third) });
    expect(killed.exitCode).toBe(null);
    expect((await writableNodes(lab)).filter((name) => name !== to)).toEqual([]);
    run ??= killed.run;
    expect(killed.run).toBe(run);
    argv = ['runs', 'resume', run];
  }
  const done = await lab.json<Change>('runs', 'resume', run ?? '');
  expect(done).toMatchObject({ run, primary: to, timeline: 2, failures: [], lostWal: { isExact: true } });
  expect(await recoveryOf(lab)).toEqual({ [from]: undefined, [to]: false, [third]: true });
  await untilTheyStream(lab, to, [third]);
  await writer.more(20);
  const present = await acknowledgedIn(lab, to);
  const end = parseLsn(done.lostWal.fromLsn);
  // A commit lies between where the WAL ended before it and where it ended before the next one.
  const missing = before.map(({ n }, index) => ({ n, until: before[index + 1]?.lsnBefore })).filter(({ n }) => !present.has(n));
  expect(missing.filter(({ until: last }) => last !== undefined && last <= end)).toEqual([]);
  expect(await readEndpoints(lab)).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${lab.node(to).port}/`);
});

test('and so does one whose process is killed at any moment of the fence and the promotion', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const [from = ''] = await writableNodes(lab);
  const [to = ''] = Object.entries(await recoveryOf(lab)).flatMap(([name, isStandby]) => (isStandby === true ? [name] : []));
  await kill(lab, from);
  const argv = ['failover', '--confirm', 'lab', '--no-backup', '--i-fenced-it', nodesOf(lab)[0] ?? ''];
  const { run } = await interruptAt(lab, argv, { step: `stop-primary ${from}`, delayMs: Math.floor(Math.random() * 800) });
  expect((await writableNodes(lab)).filter((name) => name !== to)).toEqual([]);
  if (!(await hasSucceeded(run))) expect(await lab.json('runs', 'resume', run)).toMatchObject({ run, primary: to, failures: [] });
  await writer.more(20);
  expect(await writableNodes(lab)).toEqual([to]);
});
