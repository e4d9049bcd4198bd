import { expect, test } from 'vitest';
import { readEndpoints } from './support/front.ts';
import { expectNothingLost, nodesOf, recoveryOf, slotsOf, untilTheyStream, useFrontedLab, writableNodes } from './support/fronted-lab.ts';

const theLab = useFrontedLab();
const ONE_AT_A_TIME = { timeout: 240_000 };

interface Change {
  readonly run: string;
  readonly primary: string;
  readonly timeline: number;
  readonly writeOutageSeconds: number;
  readonly failures: readonly unknown[];
  readonly backup: { readonly labels: readonly string[] } | null;
}

test('a dry run of a switchover changes nothing', ONE_AT_A_TIME, async () => {
  const { lab } = theLab();
  const { plan } = await lab.json<{ plan: { steps: readonly { kind: string }[] } }>('switchover', '--to', 'replica-1', '--dry-run');
  expect(plan.steps.map(({ kind }) => kind)).toContain('promote-standby');
  expect(await writableNodes(lab)).toEqual([lab.primary.name]);
});

test('a switchover loses nothing that was acknowledged, throws nobody out, and all others follow', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const old = lab.primary.name;
  const done = await lab.json<Change>('switchover', '--to', 'replica-1', '--confirm', 'lab');
  expect(done).toMatchObject({ primary: 'replica-1', timeline: 2, failures: [] });
  expect(done.writeOutageSeconds).toBeGreaterThan(0);
  await writer.more(20);
  expect(writer.faults).toEqual([]);
  await expectNothingLost(lab, 'replica-1', [...writer.acknowledged]);
  expect(await recoveryOf(lab)).toEqual({ [old]: true, 'replica-1': false, 'replica-2': true });
  expect(await writableNodes(lab)).toEqual(['replica-1']);
  await untilTheyStream(lab, 'replica-1', [old, 'replica-2']);
  expect(await slotsOf(lab, old)).toEqual([]);
  const ports = nodesOf(lab).map((name) => lab.node(name).port);
  expect(await readEndpoints(lab)).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${ports[1]}/`);
  expect(await readEndpoints(lab)).toContain(`:${ports[0]}/`);
  const { backups } = await lab.json<{ backups: readonly { label: string; timeline: number }[] }>('backups');
  expect(backups.filter(({ timeline }) => timeline === 2).map(({ label }) => label)).toEqual(done.backup?.labels);
});

test('and back again', ONE_AT_A_TIME, async () => {
  const { lab, writer } = theLab();
  const done = await lab.json<Change>('switchover', '--to', lab.primary.name, '--confirm', 'lab', '--no-backup');
  expect(done).toMatchObject({ primary: lab.primary.name, timeline: 3, failures: [], backup: null });
  await writer.more(20);
  expect(writer.faults).toEqual([]);
  await expectNothingLost(lab, lab.primary.name, [...writer.acknowledged]);
  await untilTheyStream(lab, lab.primary.name, ['replica-1', 'replica-2']);
});
