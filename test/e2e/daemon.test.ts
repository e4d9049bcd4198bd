import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useLab } from '../harness/lab.ts';
import { giveSchedules, type LogLine, RunningDaemon } from './support/daemon.ts';
import { daemonsOf, descendantsOf, postmasterOf, strangers, titleOf } from './support/processes.ts';

interface ListedBackup {
  readonly label: string;
  readonly repository: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface ListedRun {
  readonly run: string;
  readonly verb: string;
  readonly outcome: string;
  readonly trigger: { readonly kind: string; readonly name?: string };
}

describe('a daemon with schedules of seconds', () => {
  const lab = useLab({ bundle: true, impatient: true, ioTimeoutSeconds: 2 });
  let daemon: RunningDaemon;
  let revived: ChildProcess | undefined;

  beforeAll(async () => {
    await giveSchedules(lab(), {
      'often-incremental': { kind: 'backup', type: 'incr', cron: '*/10 * * * * *', expireAfterBackup: true },
      'hourly-verify': { kind: 'verify', cron: '30 * * * *' },
    });
    await lab().backup('full');
  });

  afterEach(async () => {
    if (!daemon.tool.hasEnded) await daemon.stop();
  });

  afterAll(() => revived?.kill('SIGKILL'));

  /** pgBackRest's main process below the daemon, once there is one. */
  async function pgbackrestOf({ tool }: RunningDaemon): Promise<number> {
    const find = () => descendantsOf(tool.pid).find((pid) => /^(\/\S*\/)?pgbackrest .* backup$/.test(titleOf(pid)));
    await expect.poll(find, { timeout: 30_000, interval: 5 }).toBeDefined();
    return find() ?? 0;
  }

  test('backs up into every repository, one after the other, and expires after it', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.line('it is in office', ({ msg }) => msg.startsWith('in office'));
    await daemon.succeeded('local');
    await daemon.succeeded('s3');
    await daemon.succeeded('local', 'expire');
    const { runs } = await lab().json<{ runs: readonly ListedRun[] }>('runs');
    expect(runs.filter(({ trigger }) => trigger.name === 'often-incremental').length).toBeGreaterThanOrEqual(2);
  });

  test('is the only one: a second one stands by, and takes over when the first one is killed', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.line('it is in office', ({ msg }) => msg.startsWith('in office'));
    const second = new RunningDaemon(lab());
    await second.line('it waits', ({ msg }) => msg.startsWith('waiting: '));
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    daemon = second;
    await second.line('it is in office', ({ msg }) => msg.startsWith('in office'));
    await second.succeeded('local');
  });

  test('that is killed in the middle of a backup is followed by one that goes on with it, or with what has become due since', async () => {
    daemon = new RunningDaemon(lab());
    const { run_id: killed } = await daemon.begun('s3');
    await pgbackrestOf(daemon);
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    daemon = new RunningDaemon(lab());
    const isIt = (line: LogLine) => line.run_id === killed || line.repositories?.includes('s3') === true;
    await daemon.line('that run succeeds, or the next into s3', (line) => line.msg === 'backup succeeded' && isIt(line));
  });

  test('tries again where pgBackRest is killed', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.begun('local');
    process.kill(await pgbackrestOf(daemon), 'SIGKILL');
    await daemon.line('the run fails', ({ msg, level }) => level === 'error' && msg.startsWith('backup failed'));
    await daemon.succeeded('local');
  });

  test('goes on when PostgreSQL has crashed and is back', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.succeeded('local');
    const { dataDirectory } = lab().primary;
    for (const pid of postmasterOf(dataDirectory)) process.kill(pid, 'SIGKILL');
    await daemon.line('it is seen', ({ msg, level }) => level === 'error' && /no primary answers|backup failed/.test(msg));
    // The children of a postmaster that was killed end by themselves; until then its memory is in use.
    await expect
      .poll(
        () =>
          lab()
            .start(dataDirectory)
            .then(
              () => true,
              () => false,
            ),
        { timeout: 30_000, interval: 200 },
      )
      .toBe(true);
    await daemon.succeeded('local');
  });

  test('goes on with the local repository while the S3 server is dead, and with both when it is back', async () => {
    daemon = new RunningDaemon(lab());
    await daemon.succeeded('s3');
    const gateway = daemonsOf(lab().directory).find((pid) => titleOf(pid).includes('radosgw')) ?? 0;
    const [file = '', ...argv] = readFileSync(`/proc/${gateway}/cmdline`, 'utf8').split('\0').slice(0, -1);
    const environment = Object.fromEntries(
      readFileSync(`/proc/${gateway}/environ`, 'utf8')
        .split('\0')
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    );
    process.kill(gateway, 'SIGKILL');
    await daemon.line('a run into s3 fails', (line) => line.level === 'error' && line.repositories?.includes('s3') === true);
    await daemon.succeeded('local');
    revived = spawn(file, argv, { env: environment as NodeJS.ProcessEnv, stdio: 'ignore', cwd: '/' });
    await daemon.succeeded('s3');
  });

  test('lets a run end when it is asked to stop, and leaves nothing running', async () => {
    daemon = new RunningDaemon(lab());
    const { run_id: last } = await daemon.begun('local');
    await daemon.stop();
    const { runs } = await lab().json<{ runs: readonly ListedRun[] }>('runs');
    expect(runs.find(({ run }) => run === last)?.outcome).toBe('succeeded');
    const others = () => strangers(lab()).filter((line) => !line.startsWith(`${revived?.pid} `));
    await expect.poll(others, { timeout: 15_000, interval: 100 }).toEqual([]);
  });

  test('has lost no backup that it called good, and both repositories are sound', async () => {
    const { runs } = await lab().json<{ runs: readonly ListedRun[] }>('runs', '--limit', '1000');
    const { backups } = await lab().json<{ backups: readonly ListedBackup[] }>('backups');
    const good = runs.filter(({ verb, outcome, trigger }) => verb === 'backup' && outcome === 'succeeded' && trigger.kind === 'schedule');
    expect(good.length).toBeGreaterThan(10);
    const kept = new Set(backups.map(({ annotations }) => annotations['spoke-run']));
    expect(good.map(({ run }) => run).filter((run) => !kept.has(run))).toEqual([]);
    expect(await lab().json('verify')).toMatchObject({ schema: 1 });
  });
});
