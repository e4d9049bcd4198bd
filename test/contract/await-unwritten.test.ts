import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { awaitUnwritten } from '../../src/adapters/instance/await-unwritten.ts';
import { createInstanceControl } from '../../src/adapters/instance/control.ts';
import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { until } from '../harness/lab.ts';

const runner = createProcessRunner();
const reader = createInstanceReader({ runner });
const control = createInstanceControl({ runner });
const context = { signal: new AbortController().signal };

describe('a directory into which a program of an earlier attempt still writes', () => {
  let root: string;
  let data: string;
  let writer: ChildProcess;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'unwritten'));
    data = join(root, 'area/data');
    mkdirSync(data, { recursive: true });
  });
  afterEach(async () => {
    writer.kill('SIGKILL');
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    rmSync(root, { recursive: true });
  });

  /** A program of that name which makes one file after the other, by path. */
  async function write(name: string, ...argv: readonly string[]): Promise<void> {
    writeFileSync(join(root, name), `#!/bin/sh\nn=0\nwhile :; do n=$((n + 1)); mkdir -p ${data}/$n; : >${data}/$n/file; done\n`, {
      mode: 0o755,
    });
    writer = spawn(join(root, name), argv, { stdio: 'ignore' });
    await until('it writes', () => Promise.resolve(existsSync(join(data, '1/file'))));
  }

  async function endAfter(milliseconds: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    writer.kill('SIGKILL');
  }

  const identityOf = async (path: string) => (await reader.inspectDirectory(path, context)).identity ?? '';

  it('is removed once that program has ended, and nothing comes back', async () => {
    await write('pg_basebackup', `--pgdata=${data}`);
    const area = join(root, 'area');
    await Promise.all([identityOf(area).then((identity) => control.removeDirectory(area, identity)), endAfter(300)]);
    expect(existsSync(area)).toBe(false);
  });

  it('is handed to the next attempt once that program has ended', async () => {
    await write('pgbackrest', 'restore', `--pg1-path=${data}`);
    await Promise.all([control.createDirectory(data, reader.currentUser()), endAfter(300)]);
    const left = readdirSync(data).length;
    expect(writer.signalCode).toBe('SIGKILL');
    expect(readdirSync(data)).toHaveLength(left);
  });

  it('is left alone where that program does not end, which is named', async () => {
    await write('pg_rewind', '-D', data);
    await expect(awaitUnwritten(data, 200)).rejects.toMatchObject({ code: 'LOCKED', details: { pid: writer.pid } });
  });

  it('is not taken for one that another program only reads, or that is beside', async () => {
    await write('pgbackrest', 'archive-push', `--pg1-path=${data}`);
    await awaitUnwritten(data, 0);
    writer.kill('SIGKILL');
    await write('pg_basebackup', `--pgdata=${data}.other`);
    await awaitUnwritten(data, 0);
  });
});
