import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger, type LedgerEntry, readLedger } from '../../../scripts/ledger.ts';
import type { RestoreResult } from '../../../src/cli/render/restore.ts';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { type Backup, type Engine, type Lab, querySocket, urlOf, useLab } from '../../harness/lab.ts';
import { untilServed } from './backups.ts';
import { expectCopy, expectDurations, expectPosition, expectRows, expectSettled, timeOf } from './expect-restored.ts';
import { quietest, type Stretch, type TargetCase, targetsIn } from './targets.ts';

export const EXACT = 'the very microsecond of a commit, inclusive';
export const OVERTAKEN = 'a transaction that a later one overtook, inclusive';
export const AT_LSN = 'the LSN of a commit record, inclusive';
export const RESTORE_POINT = 'a restore point';

/** The full one, and the one after it: incremental where engine and server can do that, else full as well. */
type Which = 'first' | 'second';

export interface TargetsSuite {
  readonly engine: Engine;
  /** From which repository, with targets after which backup, and which of `TARGET_NAMES`. */
  readonly cases: readonly (readonly [repository: 'local' | 's3', which: Which, names: readonly string[]])[];
}

const TABLES = ['ledger', 'ledger_there'];
const THERE = 'ledger_there';
const LOCATION = "SELECT pg_tablespace_location(oid) AS path FROM pg_tablespace WHERE spcname = 'apart'";

export const TARGET_NAMES = targetsIn(examples()).map((target) => target.name);

/** Names do not depend on what was committed; tests are named before anything is. */
function examples(): Stretch {
  const entry = (n: number): LedgerEntry => ({ n, xid: String(n), committedMicros: BigInt(n), lsnBefore: `0/${n}`, lsnAfter: `0/${n}` });
  const all = [entry(1), entry(2)];
  return { all, target: all[0]!, overtaken: all[0]!, restorePoint: { name: 'name', after: all[0]! } };
}

/**
 * A client commits numbered rows into a table and into one in a tablespace: before, during and after two backups in both
 * repositories. Then targets of every kind, after the first alone and after the second.
 */
export function describeTargets({ engine, cases }: TargetsSuite): void {
  const theLab = useLab({ nodes: 1, engine, bundle: engine === 'pgbackrest' });
  let ledger: Ledger;
  let tablespace: string;
  let taken: Readonly<Record<Which, readonly Backup[]>>;
  let restores = 0;
  const stretches = new Map<Which, Stretch>();

  beforeAll(async () => {
    const lab = theLab();
    tablespace = await lab.makeDirectory('tablespace');
    ledger = await Ledger.open(urlOf(lab.primary));
    await ledger.query(`CREATE TABLESPACE apart LOCATION '${tablespace}'`);
    await ledger.query(`CREATE TABLE ${THERE} (n bigint PRIMARY KEY USING INDEX TABLESPACE apart) TABLESPACE apart`);
    await ledger.commit(3, THERE);
    const first = await backUpWhileCommitting(lab, 'full');
    stretches.set('first', await live('after-first', lab));
    const second = await backUpWhileCommitting(lab, lab.takesIncrementals ? 'incr' : 'full');
    stretches.set('second', await live('after-second', lab));
    taken = { first, second };
  }, 240_000);

  afterAll(() => ledger.close());

  async function backUpWhileCommitting(lab: Lab, type: 'full' | 'incr'): Promise<readonly Backup[]> {
    const finished = new AbortController();
    const backingUp = lab.backup(type).finally(() => finished.abort());
    while (!finished.signal.aborted) {
      await ledger.commit(1, THERE);
      await delay(50);
    }
    const backups = await backingUp;
    await untilServed(ledger, backups);
    return backups;
  }

  /** Rows in several segments, some overtaken, some aborted, with a restore point; and some after all that. */
  async function live(restorePointName: string, lab: Lab): Promise<Stretch> {
    const first = ledger.entries.length;
    await ledger.commit(3, THERE);
    await ledger.abort(THERE);
    await ledger.commitOvertaken(urlOf(lab.primary), THERE);
    const overtaken = ledger.last;
    await ledger.query('SELECT pg_switch_wal()');
    await ledger.commit(3, THERE);
    await ledger.query(`SELECT pg_create_restore_point('${restorePointName}')`);
    const restorePoint = { name: restorePointName, after: ledger.last };
    await ledger.commit(3, THERE);
    const target = quietest(ledger.entries.slice(first + 1));
    await ledger.commit(2, THERE);
    return { all: ledger.entries, target, overtaken, restorePoint };
  }

  function backupOf(repository: string, which: Which): Backup {
    const found = taken[which].find((backup) => backup.repository === repository);
    if (found === undefined) throw new Error(`there is no ${which} backup in ${repository}`);
    return found;
  }

  /** Restores into a directory of its own, looks, and removes it. */
  async function restored(name: string, argv: readonly string[], look: (result: RestoreResult) => Promise<void>): Promise<void> {
    const lab = theLab();
    restores += 1;
    // Of its own: what one that failed has left there is no reason for the next one to fail.
    const map = join(lab.directory, `${name}-${restores}.apart`);
    const result = await lab.restore(name, '--tablespace-map', `${tablespace}=${map}`, ...argv);
    try {
      await expectCopy(lab, result, name);
      expectDurations(result);
      const [place] = await querySocket(result, LOCATION);
      expect(place).toEqual({ path: map });
      await look(result);
    } finally {
      await lab.remove(result);
      await rm(map, { recursive: true });
    }
  }

  async function expectTarget(target: TargetCase, from: Backup): Promise<void> {
    await restored('copy', [...target.argv, '--repo', from.repository], async (result) => {
      await expectRows(result, target.expected, TABLES);
      expectPosition(result, ledger.entries, target.expected);
      expect(result.target).toEqual(target.shown);
      expect(result.reached).toMatchObject({ time: timeOf(target.timed), xid: target.xid, timeline: 1 });
      expect(result.backup).toEqual({ label: from.label, repository: from.repository, type: from.type });
      expect(result.timeline).toBe(2);
      expect(result.walSegments).toBeGreaterThan(0);
    });
  }

  /**
   * The rows up to the end of a backup. Where the backup ended between the look before a commit and the one after it, either may have
   * been first: of that one row, what the restored server has decides.
   */
  async function endingAt(result: RestoreResult, stopLsn: bigint): Promise<readonly LedgerEntry[]> {
    const surely = ledger.entries.filter((entry) => parseLsn(entry.lsnAfter) <= stopLsn);
    const perhaps = ledger.entries.filter((entry) => parseLsn(entry.lsnBefore) < stopLsn);
    expect(perhaps.length - surely.length).toBeLessThanOrEqual(1);
    const found = await readLedger({ host: result.socketDirectory, port: result.port, user: 'postgres' });
    return found.length === perhaps.length ? perhaps : surely;
  }

  function targetNamed(name: string, which: Which): TargetCase {
    const found = targetsIn(stretches.get(which)!).find((target) => target.name === name);
    if (found === undefined) throw new Error(`there is no target "${name}"`);
    return found;
  }

  const BRINGS = 'a restore brings every acknowledged row up to the target and none after';

  describe.each(cases)(`from %s, with a target after the %s backup, ${BRINGS}:`, (repository, which, names) => {
    test.each(names)('%s', async (name) => {
      await expectTarget(targetNamed(name, which), backupOf(repository, which));
    });
  });

  describe('without an instant', () => {
    test.each(['local', 's3'])(
      'latest from %s brings every row that was acknowledged, also those in the segment that is still being written',
      async (repository) => {
        await ledger.commit(2, THERE);
        await restored('copy', ['--to', 'latest', '--repo', repository], async (result) => {
          await expectRows(result, ledger.entries, TABLES);
          expect(result.target).toEqual({ kind: 'latest' });
          // A marker is committed after them, so that the target of a restore never is the last commit there is.
          expect(result.reached.time! > timeOf(ledger.last)!).toBe(true);
          expect(parseLsn(result.reached.lsn) >= parseLsn(ledger.last.lsnAfter)).toBe(true);
          expect(result.timeline).toBe(2);
        });
      },
    );

    test.each([
      ['local', 'first'],
      ['s3', 'second'],
    ] as const)('immediate from %s ends where the %s backup ended, amid the commits that went on meanwhile', async (repository, which) => {
      const backup = backupOf(repository, which);
      await restored('copy', ['--to', 'immediate', '--repo', repository, '--set', backup.label], async (result) => {
        const expected = await endingAt(result, parseLsn(backup.stopLsn));
        await expectRows(result, expected, TABLES);
        expectPosition(result, ledger.entries, expected);
        // A commit from before the backup's redo point is in the copy, and not replayed: of a quick backup there may be none.
        const last = expected.at(-1);
        const isReplayed = last !== undefined && parseLsn(last.lsnAfter) > parseLsn(backup.startLsn);
        expect(result.reached).toMatchObject({ time: isReplayed ? timeOf(last) : null, xid: null, timeline: 1 });
        expect(result.target).toEqual({ kind: 'immediate' });
        expect(result.backup).toEqual({ label: backup.label, repository, type: backup.type });
      });
    });
  });

  describe('a tablespace', () => {
    test('is not restored over the living one: refused, and the hint is the map to add', async () => {
      const lab = theLab();
      const error = await lab.error('restore', '--to', 'latest', '--data-directory', join(lab.directory, 'copy'));
      expect(error).toMatchObject({ code: 'REFUSED_TABLESPACE', exitCode: 12 });
      expect(error.hint).toContain(`--tablespace-map ${tablespace}=${join(lab.directory, 'copy')}.tablespaces/tablespace`);
      await expectRows(lab.primary, ledger.entries, TABLES);
    });

    test('goes beside its old location where the node is restored in place, and the old one stays', async () => {
      const lab = theLab();
      const result = await lab.json<RestoreResult>('restore', '--to', 'latest', '--in-place', '--confirm', 'lab');
      await ledger.moveTo(urlOf(lab.primary));
      await expectSettled(lab, result);
      await expectRows(lab.primary, ledger.entries, TABLES);
      await ledger.commit(1, THERE);
      await expectRows(lab.primary, ledger.entries, TABLES);
      const [place] = await querySocket(lab.primary, LOCATION);
      expect(place?.['path']).toMatch(new RegExp(`^${tablespace}[.]spoke-`));
      expect(await readdir(tablespace)).not.toEqual([]);
    });
  });
}
