import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { spokeJson } from '../harness/cli.ts';
import { type Backup, querySocket, useLab } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch } from './support/journal.ts';
import { expectNothingElseRuns, strangers } from './support/processes.ts';
import { type Remaining, S3Proxy } from './support/s3-proxy.ts';
import { type Ended, errorOf, RunningTool } from './support/tool.ts';

/** A restore from S3 takes at least ten seconds more by estimate. It is chosen all the same where a local one has this much more to replay. */
const SEGMENTS_BEFORE_S3_IS_FASTER = 36;
const SEGMENTS_TO_REPLAY = 4;

/** Something to restore to, and the rows that are there then. */
interface Target {
  readonly time: string;
  readonly rows: readonly number[];
}

interface Outage {
  readonly step: string;
  readonly remaining: Remaining;
}

const OUTAGES = [
  { when: 'in the middle of the copy', step: 'copy-backup', remaining: { bytes: 1_000_000 } },
  // Each segment is fetched by a connection of its own.
  { when: 'in the middle of the replay', step: 'start-isolated', remaining: { connections: 3 } },
];

describe('an S3 server that dies', () => {
  const lab = useLab({ bundle: true, impatient: true });
  let rows: Rows;
  let proxy: S3Proxy;
  let config: string;
  let state: string;
  /** Before the first backup in the other repository. */
  let onlyInS3: Target;
  let inBoth: Target;

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    onlyInS3 = await targetAfterBackupInto('s3');
    await lab().backup('full', '--repo', 'local');
    await closeSegments(SEGMENTS_BEFORE_S3_IS_FASTER);
    inBoth = await targetAfterBackupInto('s3');
    await setUpProxy();
  });

  afterEach(() => proxy.mend());
  afterAll(() => proxy.close());

  async function targetAfterBackupInto(repository: string): Promise<Target> {
    await lab().backup('full', '--repo', repository);
    await untilBackupsArePast(lab());
    await closeSegments(SEGMENTS_TO_REPLAY);
    await rows.commit();
    const target = { rows: await rows.now(), time: await serverTime(lab().primary) };
    await rows.commit();
    return target;
  }

  async function closeSegments(count: number): Promise<void> {
    const once = `PERFORM pg_create_restore_point('filler'); PERFORM pg_switch_wal();`;
    await querySocket(lab().primary, `DO $$ BEGIN FOR i IN 1..${count} LOOP ${once} END LOOP; END $$`);
  }

  /** Only this program goes through it: the lab goes on archiving as before, with a configuration of its own. */
  async function setUpProxy(): Promise<void> {
    proxy = await S3Proxy.before(lab().description.s3?.endpoint ?? '');
    state = await lab().makeDirectory('state-of-proxy');
    config = await configurationWith(lab(), 'proxy', (document) => {
      document.set('stateDirectory', state);
      document.setIn(['clusters', 'lab', 'repositories', 1, 'port'], proxy.port);
      // pgBackRest tries again, and waits eight times as long before it calls a repository dead.
      document.setIn(['clusters', 'lab', 'pgbackrest', 'extraOptions', 'io-timeout'], 1);
    });
  }

  const destination = () => join(lab().directory, 'restored');

  /** Runs the program, with S3 dying in a step of it. */
  async function during({ step, remaining }: Outage, ...argv: string[]): Promise<Ended & { readonly run: string }> {
    const watch = new JournalWatch(state);
    const tool = new RunningTool([...argv, '--json'], { config });
    const run = await watch.stepBegun(step, tool);
    proxy.breakAfter(remaining);
    const ended = await tool.ended;
    expect(proxy.isBroken, ended.stderr).toBe(true);
    return { run, ...ended };
  }

  const restoreDuring = (outage: Outage, { time }: Target) => during(outage, 'restore', '--to', time, '--data-directory', destination());

  async function expectRestored(result: RestoreResult, repository: string, target: Target): Promise<void> {
    expect(result.backup.repository).toBe(repository);
    expect(await rowsOf(result)).toEqual(target.rows);
    expect(restoreAreasBeside(destination())).toEqual([]);
    await lab().remove(result);
    await expectNothingElseRuns(lab());
  }

  test.each(OUTAGES)('$when of a restore makes way for the other repository, which is said', async (outage) => {
    const { exitCode, stdout, stderr } = await restoreDuring(outage, inBoth);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/s3.*trying another backup or repository/);
    await expectRestored(JSON.parse(stdout) as RestoreResult, 'local', inBoth);
  });

  test.each(OUTAGES)('$when of a restore that only it can serve fails as such, and goes on when it is back', async (outage) => {
    const ended = await restoreDuring(outage, onlyInS3);
    const error = errorOf(ended);
    expect(error).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
    expect(error.message).toContain('s3');
    expect(error.hint).toContain(`spoke-backup runs resume ${ended.run}`);
    expect(strangers(lab())).toEqual([]);
    expect(identityOf(destination())).toBe(undefined);
    proxy.mend();
    const result = await spokeJson<RestoreResult>(['runs', 'resume', ended.run], { config });
    await expectRestored(result, 's3', onlyInS3);
  });

  test('in the middle of a backup costs only that one: the other repository has it, and it goes on when it is back', async () => {
    const before = await backups();
    const outage = { step: 'take-backup:s3', remaining: { bytes: 1_000_000 } };
    const { run, exitCode, stdout, stderr } = await during(outage, 'backup', '--type', 'full');
    expect(exitCode, stderr).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      backups: [{ repository: 'local' }],
      failures: [{ repository: 's3', code: 'REPOSITORY_UNAVAILABLE' }],
    });
    expect(stderr).toContain(`spoke-backup runs resume ${run}`);
    expect(strangers(lab())).toEqual([]);
    proxy.mend();
    const between = await backups();
    expect(between).toEqual(expect.arrayContaining([...before]));
    expect(between.filter(isOf(run)).map(({ repository }) => repository)).toEqual(['local']);
    const resumed = await spokeJson<{ backups: readonly Backup[] }>(['runs', 'resume', run], { config });
    expect(resumed.backups.map(({ repository }) => repository)).toEqual(['local', 's3']);
  });

  type Annotated = Backup & { readonly annotations: Readonly<Record<string, string>> };

  async function backups(): Promise<readonly Annotated[]> {
    return (await lab().json<{ backups: readonly Annotated[] }>('backups')).backups;
  }

  function isOf(run: string) {
    return (backup: Annotated) => backup.annotations['spoke-run'] === run;
  }
});
