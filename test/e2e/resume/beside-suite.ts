import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../../src/cli/render/restore.ts';
import { type Engine, useLab } from '../../harness/lab.ts';
import { clusterState, identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from '../support/data.ts';
import { interruptAt, type Moment } from '../support/kill.ts';
import { expectNothingElseRuns, strangers } from '../support/processes.ts';

/** In the order of a restore into a directory of its own. */
const STEPS = [
  'close-wal-segment',
  'reserve-restore-area',
  'copy-backup',
  'start-isolated',
  'prove-target',
  'promote-isolated',
  'stop-isolated',
  'settle-configuration',
  'swap-data-directory',
  'start-restored',
  'confirm-restored',
  'release-restore-area',
];

/** `moments`: at random, beside one in each step. */
export function describeResumesBeside(engine: Engine, moments: readonly Moment[]): void {
  describe('a restore into a directory of its own whose program is killed', () => {
    const lab = useLab({ s3: false, engine });
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

    function restore(name: string): readonly string[] {
      return ['restore', '--to', target, '--data-directory', join(lab().directory, name)];
    }

    function isolated(run: string): string {
      return join(lab().directory, `.spoke-restore-${run.split('-').at(-1)}`, 'data');
    }

    async function expectRestored(result: RestoreResult): Promise<void> {
      expect(await rowsOf(result)).toEqual(kept);
      expect(restoreAreasBeside(result.dataDirectory)).toEqual([]);
      await expectNothingElseRuns(lab(), result.dataDirectory);
      expect(await rows.now()).toEqual([...kept, 2]);
      await lab().remove(result);
      await expectNothingElseRuns(lab());
    }

    test('in one step after the other, the same run each time, comes to its end', async () => {
      let argv = restore('every-step');
      const runs = new Set<string>();
      for (const step of STEPS) {
        const { run } = await interruptAt(lab(), argv, { step });
        runs.add(run);
        await expectNothingElseRuns(lab(), isolated(run), join(lab().directory, 'every-step'));
        argv = ['runs', 'resume'];
      }
      expect([...runs]).toHaveLength(1);
      await expectRestored(await lab().json<RestoreResult>('runs', 'resume'));
    });

    test.each(moments)(
      'at a random moment in $step ($delayMs ms) leaves no server that could be taken for the result, and goes on',
      async (moment) => {
        const { run } = await interruptAt(lab(), restore('random'), moment);
        await expectNothingElseRuns(lab(), isolated(run));
        expect(identityOf(join(lab().directory, 'random'))).toBe(undefined);
        await expectRestored(await lab().json<RestoreResult>('runs', 'resume', run));
      },
    );

    test('in the middle of the copy leaves nothing that could be started', async () => {
      const { run } = await interruptAt(lab(), restore('half'), { step: 'copy-backup', delayMs: 100 });
      await expectNothingElseRuns(lab());
      expect(await clusterState(lab(), isolated(run))).toBe(undefined);
      await expect(lab().start(isolated(run), { socketDirectory: '/tmp', port: 5433 })).rejects.toThrow();
      expect(strangers(lab())).toEqual([]);
      await expectRestored(await lab().json<RestoreResult>('runs', 'resume', run));
    });
  });
}
