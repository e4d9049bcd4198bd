import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useLab } from '../harness/lab.ts';
import { giveSchedules, type LogLine, RunningDaemon } from './support/daemon.ts';
import { descendantsOf, expectNothingElseRuns, titleOf } from './support/processes.ts';

interface ListedBackup {
  readonly label: string;
  readonly repository: string;
  readonly annotations: Readonly<Record<string, string>>;
}

describe('a daemon that takes native backups every few seconds', () => {
  const lab = useLab({ engine: 'native', impatient: true });
  let daemon: RunningDaemon;

  beforeAll(() => giveSchedules(lab(), { 'often-full': { kind: 'backup', type: 'full', cron: '*/10 * * * * *' } }));

  afterEach(async () => {
    if (!daemon.tool.hasEnded) await daemon.stop();
  });

  async function baseBackupOf({ tool }: RunningDaemon): Promise<number> {
    const find = () => descendantsOf(tool.pid).find((pid) => titleOf(pid).includes('pg_basebackup --dbname='));
    await expect.poll(find, { timeout: 30_000, interval: 2 }).toBeDefined();
    return find() ?? 0;
  }

  async function runsOf(repository: string): Promise<readonly (string | undefined)[]> {
    const { backups } = await lab().json<{ backups: readonly ListedBackup[] }>('backups');
    return backups.filter((backup) => backup.repository === repository).map(({ annotations }) => annotations['spoke-run']);
  }

  test('takes them into every repository, while its shipper brings the WAL there', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.succeeded('local');
    await daemon.succeeded('s3');
  });

  test('and is killed in the middle of one leaves no pg_basebackup, and the next daemon goes on', async () => {
    daemon = new RunningDaemon(lab());
    const { run_id: killed } = await daemon.begun('local');
    await baseBackupOf(daemon);
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    await expectNothingElseRuns(lab());
    daemon = new RunningDaemon(lab());
    const isIt = (line: LogLine) => line.run_id === killed || line.repositories?.includes('local') === true;
    const { run_id: good } = await daemon.line('that run succeeds, or the next', (line) => line.msg === 'backup succeeded' && isIt(line));
    // A backup that is listed is whole: the one that was killed is listed only where it was gone on with.
    expect(await runsOf('local')).toContain(good);
    if (good !== killed) expect(await runsOf('local')).not.toContain(killed);
  });

  test('tries again where pg_basebackup is killed', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.begun('local');
    process.kill(await baseBackupOf(daemon), 'SIGKILL');
    await daemon.line('the run fails', ({ msg, level }) => level === 'error' && msg.startsWith('backup failed'));
    await daemon.succeeded('local');
  });
});
