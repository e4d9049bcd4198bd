import { expect, test } from 'vitest';
import { readEndpoints } from './support/front.ts';
import { expectNothingLost, nodesOf, recoveryOf, untilTheyStream, useFrontedLab, writableNodes } from './support/fronted-lab.ts';
import { interruptAt, type Moment, randomMoments } from './support/kill.ts';

/** In the order of a switchover; FROM is the old primary, THIRD the standby that is neither. */
const MOMENTS: readonly Moment[] = [
  { step: 'configure-server FROM' },
  { step: 'checkpoint' },
  { step: 'pause-pgbouncer front' },
  { step: 'confirm-roles' },
  { step: 'stop-primary FROM' },
  ...randomMoments('stop-primary FROM', 2, 1500),
  { step: 'await-replay' },
  { step: 'promote-standby' },
  ...randomMoments('promote-standby', 2, 800),
  { step: 'repoint-pgbouncer front' },
  { step: 'resume-pgbouncer front' },
  { step: 'ensure-slots' },
  { step: 'publish-endpoints' },
  { step: 'configure-server THIRD' },
  { step: 'start-standby FROM' },
  ...randomMoments('start-standby FROM', 1, 500),
  { step: 'check-streaming FROM' },
  { step: 'check-streaming THIRD' },
  { step: 'drop-slots FROM' },
  { step: 'checkpoint of the new timeline' },
  { step: 'repoint-pgbouncer front and all standbys' },
  { step: 'publish-endpoints and all standbys' },
];

const theLab = useFrontedLab();
const ONE_AT_A_TIME = { timeout: 120_000 };

/** Who hands over to whom now. */
async function roles(): Promise<{ readonly from: string; readonly to: string; readonly third: string }> {
  const { lab } = theLab();
  const [from = ''] = await writableNodes(lab);
  const [to = '', third = ''] = nodesOf(lab).filter((name) => name !== from);
  await untilTheyStream(lab, from, [to, third]);
  return { from, to, third };
}

async function hasSucceeded(run: string): Promise<boolean> {
  const { runs } = await theLab().lab.json<{ runs: readonly { readonly run: string; readonly outcome: string }[] }>('runs');
  return runs.find((one) => one.run === run)?.outcome === 'succeeded';
}

function placed({ step, ...moment }: Moment, { from, third }: { readonly from: string; readonly third: string }): Moment {
  return { ...moment, step: step.replace('FROM', from).replace('THIRD', third) };
}

test.each(MOMENTS)('a switchover that is killed in $step goes on to the same end ($delayMs ms)', ONE_AT_A_TIME, async (moment) => {
  const { lab, writer } = theLab();
  const { from, to, third } = await roles();
  const { run, exitCode } = await interruptAt(
    lab,
    ['switchover', '--to', to, '--confirm', 'lab', '--no-backup'],
    placed(moment, { from, third }),
  );
  expect((await writableNodes(lab)).length).toBeLessThanOrEqual(1);
  // A program that was quicker than a random moment has ended by itself; one that was killed a moment after its last step has nothing left to do.
  if (moment.delayMs === undefined) expect(exitCode).toBe(null);
  if (!(await hasSucceeded(run))) expect(await lab.json('runs', 'resume')).toMatchObject({ run, primary: to, failures: [] });
  expect(await recoveryOf(lab)).toEqual({ [from]: true, [to]: false, [third]: true });
  await untilTheyStream(lab, to, [from, third]);
  await writer.more(20);
  expect(writer.faults).toEqual([]);
  await expectNothingLost(lab, to, [...writer.acknowledged]);
  expect(await readEndpoints(lab)).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${lab.node(to).port}/`);
});

test.each(['pause-pgbouncer front', 'stop-primary FROM', 'await-replay'])(
  'a switchover that is killed in %s and cancelled has the old primary serve again',
  ONE_AT_A_TIME,
  async (step) => {
    const { lab, writer } = theLab();
    const { from, to, third } = await roles();
    const argv = ['switchover', '--to', to, '--confirm', 'lab', '--no-backup'];
    const { run } = await interruptAt(lab, argv, placed({ step }, { from, third }));
    await lab.json('runs', 'cancel', run);
    expect(await writableNodes(lab)).toEqual([from]);
    await untilTheyStream(lab, from, [to, third]);
    await writer.more(20);
    expect(writer.faults).toEqual([]);
    await expectNothingLost(lab, from, [...writer.acknowledged]);
  },
);

test.each(['resumed', 'cancelled'])('one whose old primary somebody has started again, as a standby, is %s', ONE_AT_A_TIME, async (how) => {
  const { lab, writer } = theLab();
  const { from, to, third } = await roles();
  const { run } = await interruptAt(lab, ['switchover', '--to', to, '--confirm', 'lab', '--no-backup'], { step: 'await-replay' });
  await lab.start(lab.node(from).dataDirectory, lab.node(from));
  expect(await recoveryOf(lab)).toEqual({ [from]: true, [to]: true, [third]: true });
  const primary = how === 'resumed' ? to : from;
  if (how === 'resumed') expect(await lab.json('runs', 'resume', run)).toMatchObject({ run, primary: to, failures: [] });
  else await lab.json('runs', 'cancel', run);
  expect(await writableNodes(lab)).toEqual([primary]);
  await untilTheyStream(
    lab,
    primary,
    nodesOf(lab).filter((name) => name !== primary),
  );
  await writer.more(20);
  expect(writer.faults).toEqual([]);
  await expectNothingLost(lab, primary, [...writer.acknowledged]);
});
