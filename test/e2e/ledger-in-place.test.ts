import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger, type LedgerEntry } from '../../scripts/ledger.ts';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { querySocket, type ServerAddress, until, urlOf, useLab } from '../harness/lab.ts';
import { backUp } from './ledger/backups.ts';
import { expectCopy, expectDurations, expectPosition, expectRows, expectSettled, timeOf } from './ledger/expect-restored.ts';
import { isoOf } from './ledger/targets.ts';

/**
 * The life of one primary that is restored in its own place again and again: while it runs, after it was stopped, after it
 * was killed. Each test goes on where the one before it has left the server.
 */
const theLab = useLab({ nodes: 2, bundle: true });
let ledger: Ledger;
/** What the server has to have now, by the ledger. */
let present: readonly LedgerEntry[] = [];

async function commit(count: number): Promise<readonly LedgerEntry[]> {
  const first = ledger.entries.length;
  await ledger.commit(count);
  const committed = ledger.entries.slice(first);
  present = [...present, ...committed];
  return committed;
}

async function restoreInPlace(...argv: string[]): Promise<RestoreResult> {
  const result = await theLab().json<RestoreResult>('restore', '--in-place', '--confirm', 'lab', ...argv);
  await ledger.moveTo(urlOf(theLab().primary));
  return result;
}

/** The restored server is the primary that it was: its place, its address, its archive. */
async function expectPrimary(result: RestoreResult, timeline: number): Promise<void> {
  const { primary } = theLab();
  expect(result).toMatchObject({
    dataDirectory: primary.dataDirectory,
    socketDirectory: primary.socketDirectory,
    port: primary.port,
    started: true,
    timeline,
  });
  expectDurations(result);
  await expectSettled(theLab(), result);
  const [server] = await querySocket(
    primary,
    "SELECT pg_is_in_recovery() AS recovering, current_setting('archive_mode') AS mode, current_setting('archive_command') AS command",
  );
  expect(server).toEqual({ recovering: false, mode: 'on', command: expect.stringContaining('pgbackrest') });
  await expectRows(primary, present);
}

async function postmasterPid(): Promise<number> {
  return Number((await readFile(join(theLab().primary.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Resolves when both repositories hold what tells of a timeline's beginning. */
async function untilHistoryArrived(name: string): Promise<void> {
  for (const number of [1, 2])
    await until(`${name} is in repository ${number}`, async () =>
      (await theLab().repositoryFiles(number, 'archive/lab')).some((file) => file.endsWith(`/${name}`)),
    );
}

async function copied(argv: readonly string[], look: (result: RestoreResult) => Promise<void>): Promise<void> {
  const lab = theLab();
  const result = await lab.restore('copy', ...argv);
  try {
    await expectCopy(lab, result, 'copy');
    await look(result);
  } finally {
    await lab.remove(result);
  }
}

let abandoned: readonly LedgerEntry[];
let firstOld: string;

beforeAll(async () => {
  ledger = await Ledger.open(urlOf(theLab().primary));
  await commit(3);
  await backUp(theLab(), ledger, 'full');
  await commit(5);
}, 240_000);

afterAll(() => ledger.close());

describe('a running node', () => {
  test.each([[[]], [['--confirm', 'another']]])('is not touched without its confirmation: %j', async (confirmation) => {
    const lab = theLab();
    const pid = await postmasterPid();
    const error = await lab.error('restore', '--to', isoOf(present[4]!.committedMicros), '--in-place', ...confirmation);
    expect(error).toMatchObject({ code: 'CONFIRMATION_REQUIRED', exitCode: 12 });
    expect(await postmasterPid()).toBe(pid);
    await expectRows(lab.primary, present);
  });

  test('is restored to an instant in its own place', async () => {
    const target = present[4]!;
    const before = present;
    abandoned = present.slice(5);
    present = present.slice(0, 5);
    const result = await restoreInPlace('--to', isoOf(target.committedMicros));
    await expectPrimary(result, 2);
    expectPosition(result, before, present);
    expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 1 });
    expect(result.warnings.join('\n')).toContain('replica-1');
    firstOld = result.oldDataDirectory!;
    expect(firstOld.startsWith(`${theLab().primary.dataDirectory}.old-`)).toBe(true);
  });

  test('has left its old data directory beside, which starts and has every row', async () => {
    const lab = theLab();
    const { port } = lab.primary;
    const socketDirectory = await lab.makeDirectory('old');
    await lab.start(firstOld, { port, socketDirectory }, { archive_mode: 'off', listen_addresses: '' });
    await expectRows({ port, socketDirectory }, [...present, ...abandoned]);
    await lab.stop(firstOld);
  });

  test('archives on: its history reaches both repositories, it is backed up, and restored along its new timeline', async () => {
    await untilHistoryArrived('00000002.history');
    const [first, second] = await commit(2);
    await copied(['--to', isoOf(first!.committedMicros)], async (result) => {
      await expectRows(result, present.slice(0, -1));
      expect(result.reached).toMatchObject({ time: timeOf(first), timeline: 2 });
    });
    const taken = await backUp(theLab(), ledger, 'incr');
    expect(taken.map(({ repository, timeline }) => ({ repository, timeline }))).toEqual([
      { repository: 'local', timeline: 2 },
      { repository: 's3', timeline: 2 },
    ]);
    const [third] = await commit(2);
    await copied(['--to', isoOf(third!.committedMicros), '--repo', 's3'], async (result) => {
      await expectRows(result, present.slice(0, -1));
      expect(result.backup.label).toBe(taken[1]!.label);
      expect(result.reached).toMatchObject({ time: timeOf(third), timeline: 2 });
    });
    expect(second).toBeDefined();
  });

  test('has not lost what it abandoned: the old timeline brings it', async () => {
    const last = abandoned.at(-1)!;
    await copied(['--to', isoOf(last.committedMicros), '--timeline', '1'], async (result) => {
      await expectRows(result, [...present.slice(0, 5), ...abandoned]);
      expect(result.reached).toMatchObject({ time: timeOf(last), timeline: 1 });
    });
  });

  test('is restored a second time, to an instant since the first', async () => {
    const target = present.at(-2)!;
    present = present.slice(0, -1);
    const result = await restoreInPlace('--to', isoOf(target.committedMicros));
    await expectPrimary(result, 3);
    expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 2 });
    expect(result.oldDataDirectory).not.toBe(firstOld);
    await untilHistoryArrived('00000003.history');
  });
});

describe('a node that was stopped', () => {
  test('is restored to its last row, and its old data directory is removed where that is asked for', async () => {
    const lab = theLab();
    await commit(3);
    await lab.stop(lab.primary.dataDirectory);
    const result = await restoreInPlace('--to', 'latest', '--discard-old');
    await expectPrimary(result, 4);
    expect(result.reached).toMatchObject({ time: timeOf(present.at(-1)), timeline: 3 });
    expect(result.oldDataDirectory).toBeNull();
    await expect(access(firstOld)).resolves.toBeUndefined();
  });
});

describe('a node that was killed', () => {
  test('has left rows that never reached the archive: a copy is restored to an instant among them', async () => {
    const lab = theLab();
    await ledger.query("ALTER SYSTEM SET archive_command = '/bin/false'");
    await ledger.query('SELECT pg_reload_conf()');
    for (let segment = 0; segment < 3; segment += 1) {
      await ledger.query('SELECT pg_switch_wal()');
      await commit(2);
    }
    await kill(lab.primary);
    const target = present.at(-2)!;
    await copied(['--to', isoOf(target.committedMicros)], async (result) => {
      await expectRows(result, present.slice(0, -1));
      expect(result.reached).toMatchObject({ time: timeOf(target), timeline: 4 });
    });
  });

  test('is restored to its last row, also those in segments that never reached the archive', async () => {
    const result = await restoreInPlace('--to', 'latest');
    await expectPrimary(result, 5);
    expect(result.reached).toMatchObject({ time: timeOf(present.at(-1)), timeline: 4 });
  });

  test('archives on, with what it was restored from: older backups lead to its last row', async () => {
    await untilHistoryArrived('00000005.history');
    await commit(2);
    await copied(['--to', 'latest'], async (result) => {
      await expectRows(result, present);
      expect(result.reached.timeline).toBe(5);
    });
    await backUp(theLab(), ledger, 'incr', '--repo', 'local');
  });
});

/** The end of a server that gets no chance to end: its postmaster is gone, and what it had forked with it. */
async function kill(server: ServerAddress): Promise<void> {
  process.kill(await postmasterPid(), 'SIGKILL');
  await until('nobody answers', () =>
    querySocket(server, 'SELECT 1').then(
      () => false,
      () => true,
    ),
  );
}
