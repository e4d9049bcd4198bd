import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { useLab } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch } from './support/journal.ts';
import { interruptAt } from './support/kill.ts';
import { expectNothingElseRuns, strangers } from './support/processes.ts';
import { errorOf, RunningTool } from './support/tool.ts';

describe('a restore that is asked to end', () => {
  const lab = useLab({ s3: false });
  let rows: Rows;
  let kept: readonly number[];
  let target: string;

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await rows.commit();
    kept = await rows.now();
    target = await serverTime(lab().primary);
    await rows.commit();
  });

  const destination = () => join(lab().directory, 'restored');
  const restore = () => ['restore', '--to', target, '--data-directory', destination()];

  async function expectResumed(run: string): Promise<void> {
    const result = await lab().json<RestoreResult>('runs', 'resume', run);
    expect(result.run).toBe(run);
    expect(await rowsOf(result)).toEqual(kept);
    expect(restoreAreasBeside(destination())).toEqual([]);
    await lab().remove(result);
    await expectNothingElseRuns(lab());
  }

  test.each([
    { signal: 'SIGINT', step: 'copy-backup', delayMs: 150, exitCode: 130, code: 'CANCELLED' },
    { signal: 'SIGTERM', step: 'copy-backup', delayMs: 300, exitCode: 143, code: 'TERMINATED' },
    { signal: 'SIGINT', step: 'prove-target', delayMs: 100, exitCode: 130, code: 'CANCELLED' },
    { signal: 'SIGTERM', step: 'prove-target', delayMs: 300, exitCode: 143, code: 'TERMINATED' },
    { signal: 'SIGINT', step: 'start-isolated', delayMs: 50, exitCode: 130, code: 'CANCELLED' },
  ] as const)('by $signal in $step ends with $exitCode and leaves nothing running; the run it names goes on', async (moment) => {
    const { signal, step, delayMs, exitCode, code } = moment;
    const ended = await interruptAt(lab(), [...restore(), '--json'], { signal, step, delayMs });
    expect(ended.exitCode, ended.stderr).toBe(exitCode);
    const error = errorOf(ended);
    expect(error).toMatchObject({ code, details: { run: ended.run } });
    expect(error.hint).toContain(`spoke-backup runs resume ${ended.run}`);
    expect(ended.stderr).toContain(`spoke-backup runs resume ${ended.run}`);
    expect(strangers(lab())).toEqual([]);
    expect(identityOf(destination())).toBe(undefined);
    await expectResumed(ended.run);
  });

  test('a second time does not wait any longer, and the run goes on all the same', async () => {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool(restore(), { config: lab().description.config });
    const run = await watch.stepBegun('prove-target', tool);
    const startedMs = performance.now();
    // Two at the same instant would be one.
    const impatient = setInterval(() => tool.kill('SIGINT'), 5);
    expect((await tool.ended).exitCode).toBe(130);
    clearInterval(impatient);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await expectNothingElseRuns(lab(), join(lab().directory, `.spoke-restore-${run.split('-').at(-1)}`, 'data'));
    await expectResumed(run);
  });

  test('by SIGINT before it has begun leaves no run', async () => {
    const before = await lab().json<{ runs: unknown[] }>('runs');
    // A repository that does not answer: what is looked at before the run begins takes as long as it likes.
    const stuck = join(lab().directory, 'stuck-pgbackrest');
    await writeFile(stuck, '#!/bin/sh\ncase " $* " in *" info "*) exec sleep 60 ;; esac\nexec pgbackrest "$@"\n', { mode: 0o755 });
    const config = await configurationWith(lab(), 'stuck', (document) =>
      document.setIn(['clusters', 'lab', 'pgbackrest', 'command'], stuck),
    );
    const tool = new RunningTool([...restore(), '--json'], { config });
    await expect.poll(() => strangers(lab()).some((line) => / sleep 60$/.test(line)), { interval: 20, timeout: 20_000 }).toBe(true);
    tool.kill('SIGINT');
    const ended = await tool.ended;
    expect(ended.exitCode, ended.stderr).toBe(130);
    expect(errorOf(ended).hint).not.toContain('resume');
    expect(await lab().json('runs')).toEqual(before);
    expect(strangers(lab())).toEqual([]);
  });
});
