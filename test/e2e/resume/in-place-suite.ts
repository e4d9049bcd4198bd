import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../../src/cli/render/restore.ts';
import { type Engine, useLab } from '../../harness/lab.ts';
import {
  bootForRows,
  clusterState,
  findDirectory,
  identityOf,
  restoreAreasBeside,
  Rows,
  rowsOf,
  serverTime,
  untilBackupsArePast,
} from '../support/data.ts';
import { JournalWatch } from '../support/journal.ts';
import { interruptAt, type Moment } from '../support/kill.ts';
import { expectNothingElseRuns } from '../support/processes.ts';
import { RunningTool } from '../support/tool.ts';

/** A restore that throws rows away: what it is told to, and what has to be there before and after. */
interface Accident {
  readonly argv: readonly string[];
  readonly kept: readonly number[];
  readonly all: readonly number[];
  readonly oldIdentity: string | undefined;
}

export function describeInPlace(engine: Engine, moments: readonly Moment[]): void {
  describe('a restore in place whose program is killed', () => {
    const lab = useLab({ s3: false, engine });
    let rows: Rows;

    beforeAll(async () => {
      rows = await Rows.begin(lab());
      await lab().backup('full');
      await untilBackupsArePast(lab());
    });

    async function accident(): Promise<Accident> {
      await rows.commit();
      const kept = await rows.now();
      const target = await serverTime(lab().primary);
      await rows.commit();
      const argv = ['restore', '--to', target, '--in-place', '--confirm', 'lab'];
      return { argv, kept, all: await rows.now(), oldIdentity: identityOf(lab().primary.dataDirectory) };
    }

    /** Nothing runs but perhaps the server beside; the old data directory is whole, running or bootable, wherever it is. */
    async function expectOldDataBootable(run: string, { all, oldIdentity }: Accident): Promise<void> {
      const { dataDirectory } = lab().primary;
      await expectNothingElseRuns(lab(), join(dirname(dataDirectory), `.spoke-restore-${run.split('-').at(-1)}`, 'data'));
      const old = findDirectory(dataDirectory, oldIdentity) ?? '';
      expect((await lab().isRunning(old)) ? await rowsOf(lab().primary) : await bootForRows(lab(), old)).toEqual(all);
    }

    async function expectResumed(run: string, { kept, oldIdentity }: Accident): Promise<void> {
      const { dataDirectory } = lab().primary;
      const result = await lab().json<RestoreResult>('runs', 'resume');
      expect(result).toMatchObject({ run, dataDirectory, started: true });
      expect(await rows.now()).toEqual(kept);
      const old = result.oldDataDirectory ?? '';
      expect(identityOf(old)).toBe(oldIdentity);
      expect(await clusterState(lab(), old)).toBe('shut down');
      expect(restoreAreasBeside(dataDirectory)).toEqual([]);
      await expectNothingElseRuns(lab());
      await rm(old, { recursive: true });
    }

    test.each(moments)('in $step goes on to the same end, and the old data stays bootable ($delayMs ms)', async (moment) => {
      const done = await accident();
      const { run, exitCode } = await interruptAt(lab(), done.argv, moment);
      expect(exitCode).toBe(null);
      await expectOldDataBootable(run, done);
      await expectResumed(run, done);
    });

    test('between the two renames of the swap goes on to the same end, and the old data stays bootable', async () => {
      const done = await accident();
      const { dataDirectory } = lab().primary;
      const watch = new JournalWatch(lab().description.stateDirectory);
      const tool = new RunningTool(done.argv, { config: lab().description.config });
      const run = await watch.stepBegun('swap-data-directory', tool);
      const deadline = performance.now() + 10_000;
      // Without giving way to anything: the time between both is short.
      while (identityOf(dataDirectory) === done.oldIdentity && performance.now() < deadline);
      tool.kill('SIGKILL');
      await tool.ended;
      expect(identityOf(dataDirectory)).toBe(undefined);
      await expectOldDataBootable(run, done);
      await expectResumed(run, done);
    });

    test('in discard-old removes the old data to the end, and nothing else', async () => {
      const done = await accident();
      const { run } = await interruptAt(lab(), [...done.argv, '--discard-old'], { step: 'discard-old' });
      await expectNothingElseRuns(lab());
      expect(await rows.now()).toEqual(done.kept);
      const result = await lab().json<RestoreResult>('runs', 'resume');
      expect(result).toMatchObject({ run, oldDataDirectory: null });
      expect(await rows.now()).toEqual(done.kept);
      expect(findDirectory(lab().primary.dataDirectory, done.oldIdentity)).toBe(undefined);
      expect(restoreAreasBeside(lab().primary.dataDirectory)).toEqual([]);
    });
  });
}
