import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { useLab } from '../harness/lab.ts';
import { bootForRows, identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch } from './support/journal.ts';
import { expectNothingElseRuns } from './support/processes.ts';
import { noTmpfs, Tmpfs } from './support/tmpfs.ts';
import { errorOf, RunningTool } from './support/tool.ts';

describe('a restore onto a small file system', () => {
  const lab = useLab({ s3: false, impatient: true });
  let kept: readonly number[];
  let target: string;
  let small: Tmpfs | undefined;

  beforeAll(async () => {
    const rows = await Rows.begin(lab());
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await rows.commit();
    kept = await rows.now();
    target = await serverTime(lab().primary);
    await rows.commit();
  });

  beforeEach((context) => {
    if (noTmpfs !== undefined) context.skip(noTmpfs);
  });

  afterEach(async () => {
    await small?.unmount();
    small = undefined;
  });

  const restoreInto = (path: string) => ['restore', '--to', target, '--data-directory', path];

  async function expectResumed(path: string): Promise<RestoreResult> {
    const result = await lab().json<RestoreResult>('runs', 'resume');
    expect(result.dataDirectory).toBe(path);
    expect(await rowsOf(result)).toEqual(kept);
    expect(restoreAreasBeside(path)).toEqual([]);
    return result;
  }

  test('with too little space is refused before anything is written, with what is there and what is needed', async () => {
    small = await Tmpfs.mount(lab(), 'small', 'size=48m');
    const error = await lab().error(...restoreInto(join(small.path, 'data')));
    expect(error).toMatchObject({ code: 'REFUSED_NO_SPACE', exitCode: 12 });
    expect(error.message).toMatch(/48(\.0)? MiB free/);
    expect(error.message).toMatch(/needs \d+/);
    expect(readdirSync(small.path)).toEqual([]);
    await expectNothingElseRuns(lab());
  });

  test('that gets full during the copy fails as such, and goes on when there is space again', async () => {
    small = await Tmpfs.mount(lab(), 'small', 'size=200m');
    await small.allowFiles(300);
    const path = join(small.path, 'data');
    const error = await lab().error(...restoreInto(path));
    expect(error).toMatchObject({ code: 'DISK_FULL', exitCode: 22 });
    expect(error.hint).toContain('spoke-backup runs resume');
    expect(identityOf(path)).toBe(undefined);
    await expectNothingElseRuns(lab());
    await small.widen();
    const result = await expectResumed(path);
    await lab().remove(result);
  });

  test('that gets full during the replay fails as such, and goes on when there is space again', async () => {
    small = await Tmpfs.mount(lab(), 'small', 'size=200m');
    const path = join(small.path, 'data');
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool([...restoreInto(path), '--json'], { config: lab().description.config });
    await watch.entry((entry) => entry.kind === 'step-finished' && entry.step === 'copy-backup', 'the end of the copy', tool);
    const filler = small.fill();
    const ended = await tool.ended;
    expect(errorOf(ended), ended.stderr).toMatchObject({ code: 'DISK_FULL', exitCode: 22 });
    await expectNothingElseRuns(lab());
    await rm(filler);
    const result = await expectResumed(path);
    await lab().remove(result);
  });

  test('that gets full leaves the data directory that was to be replaced as it was', async () => {
    small = await Tmpfs.mount(lab(), 'small', 'size=400m');
    const path = join(small.path, 'data');
    await lab().json(...restoreInto(path));
    await lab().stop(path);
    const identity = identityOf(path);
    await small.allowFiles(300);
    const error = await lab().error(...restoreInto(path), '--confirm', 'lab');
    expect(error).toMatchObject({ code: 'DISK_FULL', exitCode: 22 });
    expect(identityOf(path)).toBe(identity);
    await small.widen();
    expect(await bootForRows(lab(), path)).toEqual(kept);
    const result = await expectResumed(path);
    expect(identityOf(result.oldDataDirectory ?? '')).toBe(identity);
    expect(dirname(result.oldDataDirectory ?? '')).toBe(small.path);
    await lab().remove(result);
  });
});
