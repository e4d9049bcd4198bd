import { readFileSync, renameSync, rmSync, statSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { useLab } from '../harness/lab.ts';
import { restoreAreasBeside, Rows, rowsOf, untilBackupsArePast } from './support/data.ts';
import { journalOf, JournalWatch, runsIn } from './support/journal.ts';
import { interruptAt } from './support/kill.ts';
import { expectNothingElseRuns } from './support/processes.ts';
import { errorOf, RunningTool, runTool } from './support/tool.ts';

interface ListedRun {
  readonly run: string;
  readonly outcome: string;
}

describe('one who looks after a cluster', () => {
  const lab = useLab({ s3: false, nodes: 1 });
  let rows: Rows;
  let label: string;

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    const [taken] = await lab().backup('full');
    label = taken?.label ?? '';
    await rows.commit();
  });

  const listed = async () => (await lab().json<{ runs: readonly ListedRun[] }>('runs')).runs;
  const stateDirectory = () => lab().description.stateDirectory;

  /** Of the largest file that is stored of the backup. */
  function flipByte(): () => void {
    const directory = join(lab().directory, 'repository', 'backup', 'lab', label, 'pg_data', 'base');
    const paths = readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)));
    const [largest = ''] = paths.filter((path) => statSync(path).isFile()).sort((a, b) => statSync(b).size - statSync(a).size);
    const content = readFileSync(largest);
    const changed = Buffer.from(content);
    const middle = Math.floor(content.length / 2);
    changed[middle] = (content[middle] ?? 0) ^ 0x55;
    writeFileSync(largest, changed);
    return () => writeFileSync(largest, content);
  }

  test('verifies a sound repository, and sees in a dry run what would be run for it', async () => {
    const before = runsIn(stateDirectory());
    const { plan } = await lab().json<{ plan: { steps: readonly { id: string; commands: readonly string[][] }[] } }>('verify', '--dry-run');
    expect(plan.steps.map(({ id }) => id)).toEqual(['verify-repository:local']);
    expect(plan.steps[0]?.commands[0]?.at(-1)).toBe('verify');
    expect(runsIn(stateDirectory())).toEqual(before);
    expect(await lab().json('verify')).toMatchObject({ repositories: [{ repository: 'local', ok: true }], unreadable: [] });
  });

  test('is told by exit code 14 of one flipped byte, in which backup it is, and finds it in the journal later', async () => {
    const mend = flipByte();
    const error = await lab().error('verify', '--repo', 'local');
    expect(error).toMatchObject({ code: 'VERIFICATION_FAILED', exitCode: 14 });
    expect(error.message).toContain(label);
    expect(error.details).toMatchObject({ repositories: [{ repository: 'local', damagedBackups: [label] }] });
    const [newest] = await listed();
    expect(newest?.outcome).toBe('failed');
    expect(journalOf(stateDirectory(), newest?.run ?? '').find((entry) => entry.kind === 'step-failed')).toMatchObject({
      step: 'verify-repository:local',
      details: { damagedBackups: [label] },
    });
    mend();
    expect(await lab().json('runs', 'resume')).toMatchObject({ run: newest?.run, repositories: [{ repository: 'local', ok: true }] });
  });

  test('cancels a backup while it is taken: its process ends, nothing is left, and nothing offers to resume it', async () => {
    const watch = new JournalWatch(stateDirectory());
    const tool = new RunningTool(['backup', '--type', 'full', '--json'], { config: lab().description.config });
    const run = await watch.stepBegun('take-backup:local', tool);
    expect(await lab().json('runs', 'cancel', run)).toMatchObject({ run, outcome: 'abandoned', stopped: { pid: tool.pid } });
    const ended = await tool.ended;
    expect(ended.exitCode, ended.stderr).toBe(143);
    expect(errorOf(ended).code).toBe('TERMINATED');
    await expectNothingElseRuns(lab());
    expect((await listed())[0]).toMatchObject({ run, outcome: 'cancelled, given up' });
    expect(await lab().error('runs', 'resume')).toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect(await lab().error('runs', 'resume', run)).toMatchObject({ code: 'REFUSED_PRECONDITION' });
    expect(await lab().error('runs', 'cancel', run)).toMatchObject({ code: 'REFUSED_PRECONDITION' });
  });

  test('gives up a restore whose program was killed: what it left beside is gone, and the place can be used', async () => {
    await untilBackupsArePast(lab());
    const destination = join(lab().directory, 'restored');
    const argv = ['restore', '--to', 'latest', '--data-directory', destination];
    const { run } = await interruptAt(lab(), argv, { step: 'prove-target' });
    expect(restoreAreasBeside(destination)).toHaveLength(1);
    expect(await lab().json('runs', 'cancel', run)).toMatchObject({ run, outcome: 'abandoned', stopped: null });
    expect(restoreAreasBeside(destination)).toEqual([]);
    await expectNothingElseRuns(lab());
    const restored = await lab().json<RestoreResult>(...argv);
    expect(await rowsOf(restored)).toEqual(await rows.now());
    await lab().remove(restored);
  });

  test('may not give up a restore that has begun to swap, but finishes it', async () => {
    const destination = join(lab().directory, 'swapped');
    const argv = ['restore', '--to', 'latest', '--data-directory', destination];
    const { run } = await interruptAt(lab(), argv, { step: 'start-restored' });
    const error = await lab().error('runs', 'cancel', run);
    expect(error).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
    expect(error.hint).toContain(`spoke-backup runs resume ${run}`);
    const restored = await lab().json<RestoreResult>('runs', 'resume');
    expect(await rowsOf(restored)).toEqual(await rows.now());
    await lab().remove(restored);
  });

  test('learns again of the backups that were taken where the history was lost, and sets aside what is damaged', async () => {
    const { backups } = await lab().json<{ backups: readonly { annotations: Record<string, string> }[] }>('backups');
    const taken = [...new Set(backups.map(({ annotations }) => annotations['spoke-run'] ?? ''))];
    renameSync(join(stateDirectory(), 'runs'), join(stateDirectory(), 'lost'));
    expect(await listed()).toEqual([]);
    expect(await lab().json('runs', 'rebuild')).toMatchObject({ rebuilt: taken, setAside: [] });
    expect((await listed()).map(({ run, outcome }) => [run, outcome])).toEqual(taken.toReversed().map((run) => [run, 'succeeded']));

    const [damaged = ''] = taken;
    writeFileSync(join(stateDirectory(), 'runs', damaged, 'header.json'), '\0\0\0');
    const seen = await runTool(['runs', '--json'], { config: lab().description.config });
    expect(seen.stderr).toContain(`run ${damaged} cannot be read`);
    expect(await lab().json('runs', 'rebuild')).toMatchObject({ rebuilt: [damaged], setAside: [{ runId: damaged }] });
    rmSync(join(stateDirectory(), 'lost'), { recursive: true });
  });
});
