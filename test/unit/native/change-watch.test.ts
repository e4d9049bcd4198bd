import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { ChangeWatch } from '../../../src/adapters/native/wal/change-watch.ts';

const LONG_MS = 60_000;
const clock = createSystemClock();
let directory: string;
let watch: ChangeWatch;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'watch'));
  watch = new ChangeWatch(directory);
});
afterEach(() => {
  watch.close();
  rmSync(directory, { recursive: true });
});

describe('waiting for a change in a directory', () => {
  it('ends with the change', async () => {
    const waiting = watch.wait(LONG_MS, clock, new AbortController().signal);
    writeFileSync(join(directory, 'file'), '');
    await expect(waiting).resolves.toBeUndefined();
  });

  it('ends when it is told to, also where it was before it began', async () => {
    const controller = new AbortController();
    const waiting = watch.wait(LONG_MS, clock, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(watch.wait(LONG_MS, clock, controller.signal)).rejects.toThrow('enough');
  });
});
