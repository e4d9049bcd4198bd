import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { faketimeLibrary } from '../harness/backdated.ts';
import { PROGRAM, runProgram, spoke } from '../harness/cli.ts';
import { type Backup, useLab } from '../harness/lab.ts';
import { Rows, rowsOf } from './support/data.ts';

interface Explanation {
  readonly repositories: readonly {
    readonly backups: readonly { readonly label: string; readonly decision: string; readonly rule: string }[];
    readonly wal: readonly { readonly decision: string; readonly segments: number }[];
    readonly holds: readonly unknown[];
  }[];
}

interface Expiry {
  readonly expired: readonly { readonly label: string; readonly dependents: readonly string[] }[];
  readonly findings: readonly string[];
}

describe('letting backups go, and pinning those that shall stay', () => {
  // Without S3, whose signatures the clock of the server would break.
  const lab = useLab({ s3: false });
  const labels: string[] = [];
  let rowsOfPinned: readonly number[];

  beforeAll(async () => {
    const rows = await Rows.begin(lab());
    for (const days of [30, 20, 9]) {
      await restartServer(days);
      await rows.commit();
      if (days === 20) rowsOfPinned = await rows.now();
      const [backup] = await lab().backup('full');
      labels.push(backup?.label ?? '');
      await rows.commit();
      await lab().json('setup', 'archiving');
    }
    await restartServer();
    for (const type of ['full', 'incr'] as const) labels.push((await lab().backup(type))[0]?.label ?? '');
    expect(labels).toHaveLength(5);
  }, 180_000);

  /** With its clock set back: pgBackRest takes the times of a backup from the server. */
  async function restartServer(days = 0): Promise<void> {
    const { dataDirectory } = lab().primary;
    if (await lab().isRunning(dataDirectory)) await lab().stop(dataDirectory);
    const clock = days === 0 ? [] : [`LD_PRELOAD=${await faketimeLibrary()}`, `FAKETIME=-${days}d`];
    const program = join(lab().description.postgresqlBinDirectory, 'pg_ctl');
    const argv = ['start', '--wait', '--silent', `--pgdata=${dataDirectory}`, `--log=${dataDirectory}/started.log`];
    await lab().asOwner('env', ...clock, program, ...argv);
  }

  const present = async () => (await lab().json<{ backups: readonly Backup[] }>('backups')).backups.map(({ label }) => label);
  const explain = async () => (await lab().json<Explanation>('expire', '--explain')).repositories[0];
  const goingNow = async () => (await explain())?.backups.filter(({ decision }) => decision === 'expire').map(({ label }) => label);

  test('an explanation names every backup and all WAL with the reason, and a dry run the commands; neither changes anything', async () => {
    expect(await explain()).toMatchObject({
      backups: [
        { label: labels[0], decision: 'expire', rule: 'past-window' },
        { label: labels[1], decision: 'expire', rule: 'past-window' },
        { label: labels[2], decision: 'keep', rule: 'base' },
        { label: labels[3], decision: 'keep', rule: 'window' },
        { label: labels[4], decision: 'keep', rule: 'window' },
      ],
      holds: [],
    });
    const { config } = lab().description;
    const { exitCode, stdout } = await runProgram(PROGRAM, ['expire', '--explain', '--dry-run'], { config });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^local +${labels[0]} +full +\\S+ \\S+ UTC +expire +every instant of the last 7 days is recovered from ${labels[2]}`, 'm'),
    );
    expect(stdout).toMatch(new RegExp(`^ +\\$ \\S*pgbackrest .*--set=${labels[0]} expire$`, 'm'));
    expect(await present()).toEqual(labels);
  });

  test('a pin without a reason, in the past, or of a backup that is not there is refused', async () => {
    const pin = (...argv: string[]) => lab().error('pin', ...argv);
    expect(await pin(labels[1] ?? '', '--until', '2020-01-01 00:00:00Z', '--reason', 'x')).toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(await pin(labels[1] ?? '', '--until', 'forever', '--reason', ' ')).toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(await pin('20200101-000000F', '--until', 'forever', '--reason', 'x')).toMatchObject({ code: 'NO_BACKUP', exitCode: 13 });
  });

  test('a pin holds its backup, and is found again without the state directory', async () => {
    await lab().json('pin', labels[1] ?? '', '--until', '2099-12-31 00:00:00Z', '--reason', "the auditor's");
    expect(await goingNow()).toEqual([labels[0]]);
    const pinned = { label: labels[1], until: '2099-12-31T00:00:00.000000Z', reason: "the auditor's", state: 'holds' };
    expect(await lab().json('pins')).toMatchObject({ pins: [pinned] });
    const empty = await lab().makeDirectory('other-state');
    expect(await lab().json('pins', '--state-directory', empty)).toMatchObject({ pins: [pinned] });
  });

  test('an expiry lets the rest go; what is pinned can be restored to its end', async () => {
    const { document, stderr } = await lab().spoke('expire');
    expect(
      (document as Expiry).expired.map(({ label }) => label),
      stderr,
    ).toEqual([labels[0]]);
    expect(await present()).toEqual(labels.slice(1));
    expect((await explain())?.wal.map(({ decision }) => decision)).toEqual(['keep', 'keep']);
    const restored = await lab().restore('pinned', '--set', labels[1] ?? '', '--to', 'immediate');
    expect(await rowsOf(restored)).toEqual(rowsOfPinned);
    await lab().remove(restored);
  });

  test('a second one finds nothing to do', async () => {
    expect(await lab().json('expire')).toMatchObject({ expired: [], wal: [], skipped: [], findings: [] });
  });

  test('after the pin was taken away its backup goes, together with the backup that is taken', async () => {
    await lab().json('unpin', labels[1] ?? '');
    expect(await lab().json('pins')).toMatchObject({ pins: [] });
    const { expiry } = await lab().json<{ expiry: Expiry }>('backup', '--type', 'incr', '--expire');
    expect(expiry.expired.map(({ label }) => label)).toEqual([labels[1]]);
    expect((await present()).slice(0, 3)).toEqual(labels.slice(2));
    expect((await explain())?.wal.map(({ decision }) => decision)).toEqual(['keep']);
  });

  test('a backup is there although the expiry after it was stopped, which is a finding', async () => {
    const state = await lab().makeDirectory('state-of-backup');
    await lab().asOwner('mkdir', join(state, 'pins'));
    await lab().asOwner('cp', '/dev/null', join(state, 'pins/lab.json'));
    const { config } = lab().description;
    const before = await present();
    const result = await spoke(['backup', '--type', 'incr', '--expire', '--state-directory', state], { config });
    expect(result.exitCode, result.stderr).toBe(3);
    expect(result.stderr).toContain('the backup is there, but nothing was expired');
    expect((await present()).length).toBe(before.length + 1);
  });

  test('the wrong name of the cluster confirms nothing, and a damaged list of pins stops every expiry', async () => {
    expect(await lab().error('expire', '--confirm', 'other')).toMatchObject({ code: 'CONFIRMATION_REQUIRED', exitCode: 12 });
    const state = await lab().makeDirectory('damaged-state');
    await lab().asOwner('mkdir', join(state, 'pins'));
    await lab().asOwner('cp', '/dev/null', join(state, 'pins/lab.json'));
    const { document, exitCode } = await spoke(['expire', '--state-directory', state], { config: lab().description.config });
    expect(document).toMatchObject({ error: { code: 'REFUSED_PRECONDITION' } });
    expect(exitCode).toBe(12);
  });
});
