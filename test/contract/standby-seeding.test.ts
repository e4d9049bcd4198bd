import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { majorOf } from '../../src/adapters/instance/major-of.ts';
import { createStandbySeeding } from '../../src/adapters/instance/standby-seeding.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { parseVersionFile } from '../../src/domain/postgres/version-file.ts';

const { uid, gid, username } = userInfo();
const signal = new AbortController().signal;

/** A program in the place of pg_rewind: what PostgreSQL's own one does is for the tests on servers. */
describe('pg_rewind', () => {
  let root: string;
  let dataDirectory: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'seeding'));
    dataDirectory = join(root, 'data');
    mkdirSync(join(dataDirectory, 'global'), { recursive: true });
    writeFileSync(join(dataDirectory, 'PG_VERSION'), '15\n');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function rewindBy(script: string): Promise<void> {
    writeFileSync(join(root, 'pg_rewind'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const request = { dataDirectory, conninfo: 'host=127.0.0.1', restoresWal: false };
    const runs = { binDirectory: root, owner: { uid, gid, name: username } };
    return createStandbySeeding({ runner: createProcessRunner() }).rewind({ ...request, ...runs }, { signal });
  }

  const version = () => parseVersionFile(readFileSync(join(dataDirectory, 'PG_VERSION'), 'utf8'));
  /** Goes on only once the directory is closed. */
  const UNTIL_CLOSED = 'until grep -q rewinds PG_VERSION; do sleep 0.01; done';

  it('has the directory closed to postmasters once it begins to change it, which is still the one that it was', async () => {
    await rewindBy(`echo 'pg_rewind: need to copy 3 MB' >&2; ${UNTIL_CLOSED}; : >seen`);
    expect(existsSync(join(dataDirectory, 'seen'))).toBe(true);
    expect(version()).toEqual({ postgresMajor: 15, isClosed: true });
    expect(await majorOf(dataDirectory)).toBe(15);
  });

  it('leaves it closed where it fails after that', async () => {
    const failure = await rewindBy(`echo 'pg_rewind: need to copy 3 MB' >&2; ${UNTIL_CLOSED}; exit 1`).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: 'TOOL_FAILED' });
    expect(failure).not.toHaveProperty('details.isUntouched');
    expect(version()?.isClosed).toBe(true);
  });

  it('leaves it as it is where it fails before, or finds nothing to do', async () => {
    await expect(rewindBy('exit 1')).rejects.toMatchObject({ details: { isUntouched: true } });
    await rewindBy("echo 'pg_rewind: no rewind required' >&2");
    expect(version()).toEqual({ postgresMajor: 15, isClosed: false });
  });

  it('is ended where the directory cannot be closed', async () => {
    rmSync(join(dataDirectory, 'PG_VERSION'));
    const failing = rewindBy("echo 'pg_rewind: need to copy 3 MB' >&2; exec sleep 60");
    await expect(failing).rejects.toMatchObject({ code: 'FILE_SYSTEM_FAILED' });
  });
});
