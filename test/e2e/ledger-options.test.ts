import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger, type LedgerEntry } from '../../scripts/ledger.ts';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { PROGRAM } from '../harness/cli.ts';
import { type Backup, querySocket, type ServerAddress, until, urlOf, useLab } from '../harness/lab.ts';
import { backUp } from './ledger/backups.ts';
import { expectCopy, expectPosition, expectRows, expectSettled, timeOf } from './ledger/expect-restored.ts';
import { isoOf, upTo } from './ledger/targets.ts';

/** Ways to restore other than the usual one. The repositories are as the lab makes them. */
const theLab = useLab({ nodes: 1 });
const READ_ONLY_TRANSACTION = '25006';
let ledger: Ledger;
let target: LedgerEntry;

beforeAll(async () => {
  ledger = await Ledger.open(urlOf(theLab().primary));
  await ledger.commit(3);
  await backUp(theLab(), ledger, 'full');
  target = await ledger.commit(3);
  await ledger.commit(3);
}, 240_000);

afterAll(() => ledger.close());

function expected(): readonly LedgerEntry[] {
  return upTo(ledger.entries, target);
}

async function restored(argv: readonly string[], look: (result: RestoreResult) => Promise<void>): Promise<void> {
  const result = await theLab().restore('copy', ...argv);
  try {
    await look(result);
  } finally {
    await theLab().remove(result);
  }
}

async function expectPaused(server: ServerAddress): Promise<void> {
  const paused = 'SELECT pg_get_wal_replay_pause_state() AS state';
  await until('replay is paused', async () => (await querySocket(server, paused))[0]?.['state'] === 'paused');
  await expectRows(server, expected());
  await expect(querySocket(server, "INSERT INTO ledger VALUES (0, '')")).rejects.toMatchObject({ code: READ_ONLY_TRANSACTION });
}

describe('--target-action pause', () => {
  test('leaves a server that is read-only at the target, also after a restart, until replay is resumed', async () => {
    const lab = theLab();
    await restored(['--to', isoOf(target.committedMicros), '--target-action', 'pause', '--repo', 'local'], async (result) => {
      expect(result).toMatchObject({ started: true, timeline: 1 });
      expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 1 });
      expectPosition(result, ledger.entries, expected());
      await expectPaused(result);
      await lab.stop(result.dataDirectory);
      await lab.start(result.dataDirectory, result);
      await expectPaused(result);
      await querySocket(result, 'SELECT pg_wal_replay_resume()');
      const recovering = 'SELECT pg_is_in_recovery() AS recovering';
      await until('it takes writes', async () => (await querySocket(result, recovering))[0]?.['recovering'] === false);
      await expectRows(result, expected());
      await querySocket(result, "INSERT INTO ledger VALUES (0, 'writable')");
    });
  });
});

describe('--no-start', () => {
  test('leaves a data directory that was shut down cleanly, settled, and starts with every row', async () => {
    const lab = theLab();
    await restored(['--to', isoOf(target.committedMicros), '--no-start', '--repo', 'local'], async (result) => {
      expect(result).toMatchObject({ started: false, timeline: 2 });
      expect(await lab.isRunning(result.dataDirectory)).toBe(false);
      expect(await lab.postgresql('pg_controldata', result.dataDirectory)).toMatch(/^Database cluster state: +shut down$/m);
      await expectSettled(lab, result);
      const socketDirectory = await lab.makeDirectory('sockets');
      await lab.start(result.dataDirectory, { socketDirectory, port: result.port });
      await expectRows({ socketDirectory, port: result.port }, expected());
    });
  });
});

describe('without --repo, when the local repository is gone', () => {
  test('S3 is used, which is said, and brings also what was committed since', async () => {
    const lab = theLab();
    const repository = join(lab.directory, 'repository');
    await rename(repository, `${repository}.away`);
    try {
      await ledger.commit(2);
      const name = 'copy';
      const { document, stderr } = await lab.spoke('restore', '--to', 'latest', '--data-directory', join(lab.directory, name));
      const result = document as RestoreResult;
      try {
        await expectCopy(lab, result, name);
        await expectRows(result, ledger.entries);
        expect(result.backup).toMatchObject({ repository: 's3', type: 'full' });
        expect(result.warnings).toContain('repository local holds nothing of this cluster');
        expect(stderr).toContain('repository local holds nothing of this cluster');
      } finally {
        await lab.remove(result);
      }
    } finally {
      await rename(`${repository}.away`, repository);
    }
  });
});

describe('output that nobody reads any more', () => {
  test('does not end a run half-way', async () => {
    const env = { ...process.env, SPOKE_BACKUP_CONFIG: theLab().description.config };
    const child = spawn(PROGRAM, ['backup', '--type', 'incr', '--repo', 'local'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    child.stderr.destroy();
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    expect(exitCode).toBe(0);
    const { backups } = await theLab().json<{ backups: readonly Backup[] }>('backups', '--repo', 'local');
    expect(backups.map((backup) => backup.type)).toEqual(['full', 'incr']);
  });
});
