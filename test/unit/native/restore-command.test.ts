import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restoreCommand, standbyRestoreCommand } from '../../../src/adapters/native/restore/restore-command.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';

/** By the exit codes of docs/native-repository.md, and those of a program that is missing or was killed. */
describe('the restore_command of a native repository', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'restore-command'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** What PostgreSQL is told where spoke-wal-get ends with `code`. */
  function toldBy(command: typeof restoreCommand, code: number): number | null {
    writeFileSync(join(directory, 'spoke-wal-get'), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
    const settings = { directory, programDirectory: directory, repositories: [] };
    return spawnSync('/bin/sh', ['-c', command(settings, 'local' as RepositoryName)]).status;
  }

  it.each([
    [0, 0, 0],
    [1, 1, 1],
    [65, 200, 1],
    [69, 200, 1],
    [127, 200, 1],
    [143, 200, 1],
  ])('tells of %i to a restore, which must stop at trouble, and to a standby, which must not', (code, restore, standby) => {
    expect([toldBy(restoreCommand, code), toldBy(standbyRestoreCommand, code)]).toEqual([restore, standby]);
  });
});
