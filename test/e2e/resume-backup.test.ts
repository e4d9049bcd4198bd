import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { useLab } from '../harness/lab.ts';
import { addLocalRepository } from './support/config.ts';
import { Rows } from './support/data.ts';
import { JournalWatch, runsIn } from './support/journal.ts';
import { interruptAt } from './support/kill.ts';
import { descendantsOf, expectNothingElseRuns, strangers, titleOf } from './support/processes.ts';
import { errorOf, RunningTool, runTool } from './support/tool.ts';

interface Backup {
  readonly repository: string;
  readonly label: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const BACKUP = ['backup', '--type', 'full'];

describe('a backup into two repositories', () => {
  const lab = useLab({ s3: false });
  let rows: Rows;

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    await addLocalRepository(lab(), 'second');
    await lab().backup('full');
  });

  /** The repositories that have a backup of the run, as often as they have one. */
  async function backupsOf(run: string): Promise<readonly string[]> {
    const { backups } = await lab().json<{ backups: readonly Backup[] }>('backups');
    return backups.filter((backup) => backup.annotations['spoke-run'] === run).map(({ repository }) => repository);
  }

  async function expectResumed(run: string): Promise<void> {
    const result = await lab().json<{ run: string; backups: readonly Backup[]; failures: readonly unknown[] }>('runs', 'resume');
    expect(result).toMatchObject({ run, failures: [] });
    expect(result.backups.map(({ repository }) => repository)).toEqual(['local', 'second']);
    expect(await backupsOf(run)).toEqual(['local', 'second']);
    await expectNothingElseRuns(lab());
    await rows.commit();
  }

  test.each([
    { step: 'take-backup:local', delayMs: 0 },
    { step: 'take-backup:local', delayMs: 400 },
    { step: 'take-backup:local', delayMs: 1200 },
    { step: 'take-backup:second', delayMs: 0 },
    { step: 'take-backup:second', delayMs: 600 },
  ])('whose program is killed in $step after $delayMs ms is resumed, and has taken one backup in each', async (moment) => {
    const { run, exitCode } = await interruptAt(lab(), BACKUP, moment);
    expect(exitCode).toBe(null);
    await expectNothingElseRuns(lab());
    await expectResumed(run);
  });

  test.each([
    { signal: 'SIGINT', exitCode: 130 },
    { signal: 'SIGTERM', exitCode: 143 },
  ] as const)('ends on $signal with $exitCode, nothing running, and is resumed', async ({ signal, exitCode }) => {
    const ended = await interruptAt(lab(), [...BACKUP, '--json'], { step: 'take-backup:local', delayMs: 500, signal });
    expect(ended.exitCode, ended.stderr).toBe(exitCode);
    expect(errorOf(ended).hint).toContain(`spoke-backup runs resume ${ended.run}`);
    expect(strangers(lab())).toEqual([]);
    expect(await backupsOf(ended.run)).toEqual([]);
    await expectResumed(ended.run);
  });

  test('whose pgBackRest is killed goes on with the other repository, says so with 3, and is resumed', async () => {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool([...BACKUP, '--json'], { config: lab().description.config });
    const run = await watch.stepBegun('take-backup:local', tool);
    await expect.poll(() => killPgbackrest(tool.pid), { interval: 5 }).toBe(true);
    const ended = await tool.ended;
    expect(ended.exitCode, ended.stderr).toBe(3);
    expect(JSON.parse(ended.stdout)).toMatchObject({ run, backups: [{ repository: 'second' }], failures: [{ repository: 'local' }] });
    expect(strangers(lab())).toEqual([]);
    await expectResumed(run);
  });

  /** The one that takes the backup, not those that it started. */
  function killPgbackrest(tool: number): boolean {
    const found = descendantsOf(tool).find((pid) => /^(\/\S*\/)?pgbackrest .* backup$/.test(titleOf(pid)));
    if (found !== undefined) process.kill(found, 'SIGKILL');
    return found !== undefined;
  }

  test('does not run twice at once: the second one is told who is at it', async () => {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool(BACKUP, { config: lab().description.config });
    const run = await watch.stepBegun('take-backup:local', tool);
    const runs = runsIn(lab().description.stateDirectory);
    const error = await lab().error(...BACKUP);
    expect(error).toMatchObject({ code: 'LOCKED', exitCode: 11, details: { runId: run, pid: tool.pid } });
    expect(error.hint).toContain(`spoke-backup runs show ${run}`);
    expect(runsIn(lab().description.stateDirectory)).toEqual(runs);
    expect((await tool.ended).exitCode).toBe(0);
    expect(await backupsOf(run)).toEqual(['local', 'second']);
  });

  test('during which PostgreSQL crashes leaves no backup that could be taken for one, and is resumed when it is back', async () => {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool([...BACKUP, '--json'], { config: lab().description.config });
    const run = await watch.stepBegun('take-backup:local', tool);
    await delay(500);
    await lab().stop(lab().primary.dataDirectory, 'immediate');
    const ended = await tool.ended;
    expect([3, 20], ended.stderr).toContain(ended.exitCode);
    const whileDown = await lab().error(...BACKUP);
    expect(whileDown).toMatchObject({ code: 'POSTGRES_UNAVAILABLE', exitCode: 20 });
    expect(whileDown.message).toContain('primary-1');
    await lab().start(lab().primary.dataDirectory, lab().primary);
    await expectResumed(run);
  });

  test('of which one repository cannot be reached takes the other one, and ends with 3', async () => {
    const { exitCode, stdout, stderr } = await withoutRepository(() =>
      runTool([...BACKUP, '--json'], { config: lab().description.config }),
    );
    expect(exitCode, stderr).toBe(3);
    const { run, backups, failures } = JSON.parse(stdout) as { run: string; backups: readonly Backup[]; failures: readonly object[] };
    expect(backups.map(({ repository }) => repository)).toEqual(['local']);
    expect(failures).toEqual([expect.objectContaining({ repository: 'second' })]);
    await expectResumed(run);
  });

  /** As if a file system were not mounted. */
  async function withoutRepository<T>(work: () => Promise<T>): Promise<T> {
    const path = `${lab().directory}/repository-second`;
    await lab().asOwner('chmod', '000', path);
    try {
      return await work();
    } finally {
      await lab().asOwner('chmod', '750', path);
    }
  }
});
