import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';
import { addLocalRepository } from './support/config.ts';
import { identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { expectNothingElseRuns } from './support/processes.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;

/** Of what begins with a magic number. */
function flipFirstByte(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(content[0] ?? 0) ^ 0xff]), content.subarray(1)]);
}

describe('WAL between the backup and the target', () => {
  const lab = useLab({ s3: false, impatient: true });
  let kept: readonly number[];
  let target: string;
  /** Between backup and target. */
  let segment: string;
  let first: string;
  let other: string;

  beforeAll(async () => {
    const rows = await Rows.begin(lab());
    await addLocalRepository(lab(), 'second');
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await closeSegment();
    await rows.commit();
    segment = await closeSegment();
    await rows.commit();
    await closeSegment();
    await untilArchivingIsPast();
    kept = await rows.now();
    target = await serverTime(lab().primary);
    await rows.commit();
    first = await chosen();
    other = first === 'local' ? 'second' : 'local';
  });

  /** Gives the name of the segment that it closed. */
  async function closeSegment(): Promise<string> {
    const [row] = await querySocket<{ name: string }>(lab().primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
    await querySocket(lab().primary, `SELECT pg_create_restore_point('filler')`);
    await querySocket(lab().primary, 'SELECT pg_switch_wal()');
    return row?.name ?? '';
  }

  /** When a segment came is all that tells how far it reaches, and pgBackRest tells it to the second. */
  async function untilArchivingIsPast(): Promise<void> {
    const isPast = `SELECT last_archived_wal >= $1 AND clock_timestamp() > last_archived_time + interval '1 s' AS past FROM pg_stat_archiver`;
    await until('the second of the last archived segment has passed', async () => {
      const [row] = await querySocket<{ past: boolean | null }>(lab().primary, isPast, [segment]);
      return row?.past === true;
    });
  }

  const destination = () => join(lab().directory, 'restored');
  const restore = () => ['restore', '--to', target, '--data-directory', destination()];

  /** The repository that a restore would begin with. */
  async function chosen(): Promise<string> {
    return (await lab().json<{ backup: { repository: string } }>(...restore(), '--dry-run')).backup.repository;
  }

  function archived(repository: string): string {
    const directory = join(lab().directory, repository === 'local' ? 'repository' : `repository-${repository}`, 'archive');
    return execFileSync('find', [directory, '-name', `${segment}-*`], { encoding: 'utf8' }).trim();
  }

  async function expectRestored(result: RestoreResult): Promise<void> {
    expect(result.backup.repository).toBe(other);
    expect(await rowsOf(result)).toEqual(kept);
    expect(restoreAreasBeside(destination())).toEqual([]);
    await lab().remove(result);
    await expectNothingElseRuns(lab());
  }

  test.each([
    { what: 'cannot be decompressed', damage: flipFirstByte, code: 'BACKUP_DAMAGED', exitCode: 14 },
    { what: 'has another size', damage: () => zstdCompressSync(Buffer.alloc(SEGMENT_BYTES - 1)), code: 'BACKUP_DAMAGED', exitCode: 14 },
    // To PostgreSQL, WAL ends where a record cannot be read.
    { what: 'holds nothing', damage: () => zstdCompressSync(Buffer.alloc(SEGMENT_BYTES)), code: 'TARGET_AFTER_WINDOW', exitCode: 13 },
  ])('that $what makes a restore from that repository fail with $code, and leave nothing', async ({ damage, code, exitCode }) => {
    const path = archived(first);
    writeFileSync(path, damage(readFileSync(path)));
    const error = await lab().error(...restore(), '--repo', first);
    expect(error, error.stderr).toMatchObject({ code, exitCode });
    expect(error.message).toContain(`repository ${first}`);
    expect(identityOf(destination())).toBe(undefined);
    expect(restoreAreasBeside(destination())).toEqual([]);
    await expectNothingElseRuns(lab());
  });

  test('that is damaged makes way for the other repository, which is said', async () => {
    writeFileSync(archived(first), zstdCompressSync(Buffer.alloc(SEGMENT_BYTES - 1)));
    const { document, stderr } = await lab().spoke(...restore());
    expect(stderr).toMatch(new RegExp(`damaged.*repository ${first}.*trying another backup or repository`));
    await expectRestored(document as RestoreResult);
  });

  test('that is missing in one repository makes the other one the choice', async () => {
    rmSync(archived(first));
    const { document, stderr } = await lab().spoke(...restore());
    expect(stderr).not.toContain('trying another');
    await expectRestored(document as RestoreResult);
  });

  test('that is missing in both is a gap, with the nearest instants on its sides', async () => {
    rmSync(archived(other));
    const error = await lab().error(...restore());
    expect(error).toMatchObject({ code: 'TARGET_IN_GAP', exitCode: 13 });
    expect(error.hint).toMatch(/--to "/);
    await expectNothingElseRuns(lab());
  });
});
