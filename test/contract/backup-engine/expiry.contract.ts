import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { segmentNumberOf } from '../../../src/domain/postgres/wal-segment.ts';
import { planRetention } from '../../../src/domain/retention/plan-retention.ts';
import { strongestPins, type Pin, pinOfAnnotation } from '../../../src/domain/retention/pin.ts';
import type { RetentionFacts, RetentionPlan } from '../../../src/domain/retention/policy.ts';
import type { Instant } from '../../../src/domain/time/instant.ts';
import type { BackupCatalogReader, BackupEngine } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { errorOf } from './backup-engine.contract.ts';

/** An engine with backups that are 40 (full), 38 (incr), 20 (full), 18 (incr), 9 (full) and 1 (incr) days old; days: 7. */
export interface ExpiryUnderTest {
  readonly reader: BackupCatalogReader;
  readonly engine: BackupEngine;
  readonly repository: RepositoryName;
  now(): Instant;
  /** Everything that is stored, so that a change of it shows. */
  fingerprint(): Promise<string>;
  dispose(): Promise<void>;
}

export const RETENTION_DAYS = 7;
const context: OperationContext = { signal: new AbortController().signal };

/** What holds for every engine that lets backups go. The tests build on one another, in this order. */
export function describeExpiry(name: string, create: () => Promise<ExpiryUnderTest>): void {
  describe(name, () => {
    let tested: ExpiryUnderTest;
    let labels: readonly BackupLabel[];
    const at = (index: number) => labels[index] as BackupLabel;

    beforeAll(async () => {
      tested = await create();
      labels = (await snapshot()).backups.map(({ label }) => label);
    }, 90_000);
    afterAll(() => tested.dispose());

    const snapshot = () => tested.reader.readRepository(tested.repository, { walArchive: true }, context);
    const present = async () => (await snapshot()).backups.map(({ label }) => label);
    const expire = (label: BackupLabel, dependents: readonly BackupLabel[]) =>
      tested.engine.expireBackup({ repository: tested.repository, label, dependents }, context);

    async function plan(pins: readonly Pin[] = []): Promise<RetentionPlan> {
      const facts: RetentionFacts = {
        ...{ snapshot: await snapshot(), now: tested.now(), pins, verdicts: [], clocks: [], confirmed: true },
        own: await tested.reader.readOwnExpiry(tested.repository, context),
      };
      return planRetention({ days: RETENTION_DAYS, requireVerified: false, maxSharePercent: 50 }, facts);
    }

    const going = ({ backups }: RetentionPlan) => backups.filter(({ decision }) => decision === 'expire').map(({ backup }) => backup.label);
    const keptWal = ({ wal }: RetentionPlan) => wal.filter(({ decision }) => decision === 'keep').map(rangeOf);
    const rangeOf = ({ timeline, firstSegment, lastSegment }: { timeline: number; firstSegment: bigint; lastSegment: bigint }) =>
      `${timeline}: ${firstSegment} to ${lastSegment}`;

    it('tells what it would expire itself, and changes nothing', async () => {
      const before = await tested.fingerprint();
      const own = await tested.reader.readOwnExpiry(tested.repository, context);
      expect(own).toEqual({ backups: labels.slice(0, 4), walFloors: [at(4)] });
      expect(await tested.fingerprint()).toBe(before);
    });

    it('would expire what the policy expires', async () => {
      const planned = await plan();
      expect(going(planned)).toEqual(labels.slice(0, 4));
      expect(planned).toMatchObject({ walFloor: at(4), holds: [], differences: [] });
    });

    it('notes something with a backup, and takes it away again', async () => {
      const note = { repository: tested.repository, label: at(1), key: 'spoke-pin', value: `forever it's "why" = ; 'x'` };
      await tested.engine.annotateBackup(note, context);
      const pins = strongestPins((await snapshot()).backups.flatMap((backup) => pinOfAnnotation(backup) ?? []));
      expect(pins).toEqual([{ repository: tested.repository, label: at(1), until: 'forever', reason: `it's "why" = ; 'x'` }]);
      await tested.engine.annotateBackup({ ...note, value: '' }, context);
      expect((await snapshot()).backups.flatMap((backup) => pinOfAnnotation(backup) ?? [])).toEqual([]);
      expect((await errorOf(tested.engine.annotateBackup({ ...note, label: '20200101-000000F' as BackupLabel }, context))).code).toBe(
        'TARGET_NOT_FOUND',
      );
    });

    it('expires nothing where more depends on the backup than was said', async () => {
      const before = await tested.fingerprint();
      expect((await errorOf(expire(at(2), []))).code).toBe('PLAN_STALE');
      expect(await tested.fingerprint()).toBe(before);
    });

    it('expires a backup with what depends on it, and no WAL', async () => {
      const { ranges } = (await snapshot()).walArchive ?? { ranges: [] };
      await expire(at(2), [at(3)]);
      expect(await present()).toEqual([at(0), at(1), at(4), at(5)]);
      expect((await snapshot()).walArchive?.ranges).toEqual(ranges);
      await expire(at(2), [at(3)]);
      expect(await present()).toEqual([at(0), at(1), at(4), at(5)]);
    });

    it('removes the WAL before the floor, but for what makes a kept backup consistent', async () => {
      const pin: Pin = { repository: tested.repository, label: at(1), until: 'forever', reason: 'audit' };
      const planned = await plan([pin]);
      expect(going(planned)).toEqual([]);
      const expected = keptWal(planned);
      expect(expected).toHaveLength(3);
      await tested.engine.expireWal({ repository: tested.repository, floor: at(4) }, context);
      expect((await snapshot()).walArchive?.ranges.map(rangeOf)).toEqual(expected);
      expect(await present()).toEqual([at(0), at(1), at(4), at(5)]);
    });

    it('expires an incremental backup alone, without its full one', async () => {
      await expire(at(1), []);
      expect(await present()).toEqual([at(0), at(4), at(5)]);
    });

    it('keeps exactly what can be recovered from the floor on when all before it has gone', async () => {
      await expire(at(0), []);
      await tested.engine.expireWal({ repository: tested.repository, floor: at(4) }, context);
      const { backups, walArchive } = await snapshot();
      expect(backups.map(({ label }) => label)).toEqual([at(4), at(5)]);
      const first = segmentNumberOf(backups[0]?.startLsn ?? (0n as never), walArchive?.segmentSizeBytes ?? 0);
      expect(walArchive?.ranges.map(({ firstSegment }) => firstSegment)).toEqual([first]);
    });

    it('refuses a floor that is not there', async () => {
      const before = await tested.fingerprint();
      expect((await errorOf(tested.engine.expireWal({ repository: tested.repository, floor: at(0) }, context))).code).toBe('PLAN_STALE');
      expect(await tested.fingerprint()).toBe(before);
    });
  });
}
