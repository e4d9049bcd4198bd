import { describe, expect, it } from 'vitest';
import { dryRunOf, expireBackupArguments, expireWalArguments, ownExpiryArguments } from '../../../src/adapters/pgbackrest/arguments.ts';
import { readExpireReport } from '../../../src/adapters/pgbackrest/expire.ts';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import { S3, SETTINGS } from './settings.ts';

// All printed by pgBackRest 2.45 with --dry-run and --log-level-stderr=detail.
const BY_DAYS = `INFO: [DRY-RUN] expire command begin 2.45: --config=/dev/stdin --dry-run --repo=1 --stanza=demo
INFO: [DRY-RUN] repo1: expire time-based backup set 20261016-010934F, 20261016-010934F_20261018-010940I
INFO: [DRY-RUN] repo1: expire time-based backup 20261105-010943F
INFO: [DRY-RUN] repo1: remove expired backup 20261105-010943F
INFO: [DRY-RUN] repo1: remove expired backup 20261016-010934F_20261018-010940I
INFO: [DRY-RUN] repo1: remove expired backup 20261016-010934F
DETAIL: [DRY-RUN] repo1: 15-1 archive retention on backup 20261116-010949F, start = 00000001000000000000000E
INFO: [DRY-RUN] repo1: 15-1 remove archive, start = 000000010000000000000001, stop = 00000001000000000000000D
INFO: [DRY-RUN] expire command end: completed successfully (3ms)`;
const WAL_ALONE = `DETAIL: [DRY-RUN] repo1: 15-1 archive retention on backup 20261016-010934F, start = 000000010000000000000002, stop = 000000010000000000000002
DETAIL: [DRY-RUN] repo1: 15-1 archive retention on backup 20261116-010949F, start = 00000001000000000000000E
INFO: [DRY-RUN] repo1: 15-1 remove archive, start = 000000010000000000000001, stop = 000000010000000000000001`;
const BY_LABEL = `INFO: [DRY-RUN] repo1: expire adhoc backup set 20261016-010934F, 20261016-010934F_20261018-010940I
INFO: [DRY-RUN] repo1: remove expired backup 20261016-010934F`;
const UNKNOWN = `WARN: [DRY-RUN] backup 20269916-010934F does not exist
      HINT: run the info command and confirm the backup is listed
INFO: [DRY-RUN] repo1: time-based archive retention not met - archive logs will not be expired`;

const reportOf = (text: string) => readExpireReport(text.split('\n'));

describe('what expire says that it removes', () => {
  it('is every backup that it names with the backups that depend on it, once', () => {
    expect(reportOf(BY_DAYS)).toEqual({
      backups: ['20261016-010934F', '20261016-010934F_20261018-010940I', '20261105-010943F'],
      walFloors: ['20261116-010949F'],
    });
    expect(reportOf(BY_LABEL).backups).toEqual(['20261016-010934F', '20261016-010934F_20261018-010940I']);
  });

  it('keeps all WAL from the backup on that has no stop: one with a stop keeps its own alone', () => {
    expect(reportOf(WAL_ALONE)).toEqual({ backups: [], walFloors: ['20261116-010949F'] });
  });

  it('is nothing for a backup that is not there', () => {
    expect(reportOf(UNKNOWN)).toEqual({ backups: [], walFloors: [] });
  });
});

describe('the arguments of expire', () => {
  const request = { repository: S3, label: '20261016-010934F' as BackupLabel, dependents: [] };

  it('by a label let neither another backup nor WAL go', () => {
    const argv = expireBackupArguments(SETTINGS, 2, request);
    expect(argv).toEqual(
      expect.arrayContaining(['--set=20261016-010934F', '--repo2-retention-full-type=count', '--repo2-retention-full=9999999']),
    );
    expect(argv.filter((word) => word.includes('retention-archive'))).toEqual([]);
    expect(argv.at(-1)).toBe('expire');
  });

  it('for WAL alone name no backup', () => {
    const argv = expireWalArguments(SETTINGS, 2, 3);
    expect(argv).toEqual(
      expect.arrayContaining(['--repo2-retention-archive-type=full', '--repo2-retention-archive=3', '--repo2-retention-full=9999999']),
    );
    expect(argv.filter((word) => word.startsWith('--set'))).toEqual([]);
  });

  it('as a look are the same with --dry-run, and need no file', () => {
    const argv = expireBackupArguments(SETTINGS, 2, request);
    expect(dryRunOf(argv)).toEqual(['--config=/dev/stdin', '--log-level-file=off', '--dry-run', ...argv.slice(1)]);
    expect(ownExpiryArguments(SETTINGS, 2)).toEqual(expect.arrayContaining(['--dry-run', '--repo=2', 'expire']));
    expect(ownExpiryArguments(SETTINGS, 2).filter((word) => word.includes('retention'))).toEqual([]);
  });
});
