import { access, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type LedgerEntry, readLedger } from '../../../scripts/ledger.ts';
import type { RestoreResult } from '../../../src/cli/render/restore.ts';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { type Lab, querySocket, type ServerAddress } from '../../harness/lab.ts';
import { isoOf, numbersOf } from './targets.ts';

/** The rows of a server, in every table that the ledger wrote to. */
export async function expectRows(
  server: ServerAddress,
  expected: readonly LedgerEntry[],
  tables: readonly string[] = ['ledger'],
): Promise<void> {
  for (const table of tables) {
    const found = await readLedger({ host: server.socketDirectory, port: server.port, user: 'postgres' }, table);
    expect(found, `rows of ${table}`).toEqual(numbersOf(expected));
  }
}

/** What every restore into a directory of its own leaves behind: a server of its own that harms nobody. */
export async function expectCopy(lab: Lab, restored: RestoreResult, name: string): Promise<void> {
  expect(restored).toMatchObject({ cluster: 'lab', run: expect.stringMatching(/^\d{8}T\d{6}Z-restore-\w+$/) });
  expect(restored.dataDirectory).toBe(join(lab.directory, name));
  expect(restored.oldDataDirectory).toBeNull();
  expect(restored.started).toBe(true);
  await expectSettled(lab, restored);
  expect(await querySocket(restored, "SELECT current_setting('archive_mode') AS mode, pg_is_in_recovery() AS recovering")).toEqual([
    { mode: 'off', recovering: false },
  ]);
  expect(await querySocket(restored, "SELECT current_setting('data_directory') AS path, current_setting('port')::int AS port")).toEqual([
    { path: restored.dataDirectory, port: restored.port },
  ]);
}

/** Owner and mode, no recovery settings or signals of earlier days, and no place beside. */
export async function expectSettled(lab: Lab, { dataDirectory }: Pick<RestoreResult, 'dataDirectory'>): Promise<void> {
  const { mode, uid, gid } = await stat(dataDirectory);
  expect({ mode: mode & 0o7777, uid, gid }).toEqual({ mode: 0o700, uid: lab.owner.uid, gid: lab.owner.gid });
  for (const signal of ['recovery.signal', 'standby.signal'])
    await expect(access(join(dataDirectory, signal)), signal).rejects.toMatchObject({ code: 'ENOENT' });
  const autoConf = await readFile(join(dataDirectory, 'postgresql.auto.conf'), 'utf8');
  expect(autoConf).not.toMatch(/recovery|restore|primary_conninfo|primary_slot_name|standby/i);
  const beside = await readdir(dirname(dataDirectory));
  expect(beside.filter((name) => name.startsWith('.spoke-restore'))).toEqual([]);
}

/**
 * Where PostgreSQL said that it stopped, against the ledger: behind the beginning of the last commit that is there, before the end of the
 * first that is not. Not from end to beginning: a backup that switches the segment, or a checkpoint, may write between a commit and
 * the look at the insert position, which then lies past both.
 */
export function expectPosition({ reached }: RestoreResult, all: readonly LedgerEntry[], expected: readonly LedgerEntry[]): void {
  const [last, next] = [expected.at(-1), all[expected.length]];
  const lsn = parseLsn(reached.lsn);
  if (last !== undefined) expect(lsn > parseLsn(last.lsnBefore), `${reached.lsn} is behind ${last.lsnBefore}`).toBe(true);
  if (next !== undefined) expect(lsn < parseLsn(next.lsnAfter), `${reached.lsn} is before ${next.lsnAfter}`).toBe(true);
}

/** As --json has the time of a row's commit. */
export function timeOf(entry: LedgerEntry | undefined): string | null {
  return entry === undefined ? null : isoOf(entry.committedMicros);
}

/** How long it took, in seconds, of which the parts are parts. */
export function expectDurations({ durations }: RestoreResult): void {
  expect(durations.copySeconds).toBeGreaterThan(0);
  expect(durations.replaySeconds).toBeGreaterThan(0);
  expect(durations.totalSeconds).toBeGreaterThanOrEqual(durations.copySeconds + durations.replaySeconds);
}
