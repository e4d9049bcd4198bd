import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { querySocket, until, useLab } from '../harness/lab.ts';
import { runTool } from './support/tool.ts';
import { Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';

interface Windows {
  readonly repositories: readonly {
    readonly windows: readonly { readonly from: string; readonly to: string; readonly backups: readonly string[] }[];
    readonly gaps: readonly { readonly firstMissing: string; readonly segments: number; readonly from: string; readonly to: string }[];
  }[];
}

interface Answer {
  readonly reachable: boolean;
  readonly ways: readonly { readonly label: string }[];
}

/** Between a row and the next; by the server's clock. */
interface Moment {
  readonly time: string;
  readonly rows: readonly number[];
}

describe('the windows of a repository', () => {
  const lab = useLab({ s3: false, nodes: 1 });
  const moments: Moment[] = [];
  let rows: Rows;
  let labels: readonly string[];
  let missing: string;

  /** Repositories tell whole seconds: by which WAL an instant is reached is only sure a second away from where a segment ended. */
  async function commitAndRemember(): Promise<void> {
    await untilNextSecond();
    await rows.commit();
    moments.push({ time: await serverTime(lab().primary), rows: await rows.now() });
    await rows.commit();
    await untilNextSecond();
  }

  async function untilNextSecond(): Promise<void> {
    const now = async () => Date.parse(await serverTime(lab().primary));
    const begun = await now();
    await until('another second has begun', async () => (await now()) >= begun + 1000);
  }

  async function closeSegment(): Promise<string> {
    const [closed] = await querySocket<{ name: string }>(lab().primary, 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
    const name = closed?.name ?? '';
    await until(`${name} is archived`, () => Promise.resolve(storedSegment(name) !== undefined));
    return name;
  }

  function storedSegment(name: string): string | undefined {
    const directory = join(lab().directory, 'repository/archive/lab/15-1', name.slice(0, 16));
    const found = existsSync(directory) ? readdirSync(directory).find((file) => file.startsWith(name)) : undefined;
    return found === undefined ? undefined : join(directory, found);
  }

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    const [first] = await lab().backup('full');
    await untilBackupsArePast(lab());
    await commitAndRemember();
    await closeSegment();
    await commitAndRemember();
    missing = await closeSegment();
    await commitAndRemember();
    await closeSegment();
    const [second] = await lab().backup('incr');
    await untilBackupsArePast(lab());
    await commitAndRemember();
    labels = [first?.label ?? '', second?.label ?? ''];
    rmSync(storedSegment(missing) ?? '');
  });

  test('end at a gap, which is told with its cause, and begin again with the backup after it', async () => {
    const { exitCode, stdout } = await runTool(['window', '--json'], { config: lab().description.config });
    expect(exitCode).toBe(3);
    const [found] = (JSON.parse(stdout) as Windows).repositories;
    expect(found?.windows.map(({ backups }) => backups)).toEqual([[labels[0]], [labels[1]]]);
    expect(found?.gaps).toMatchObject([{ firstMissing: missing, lastMissing: missing, segments: 1, cause: { kind: 'nowhere' } }]);
  });

  test('say yes to just those instants which a restore reaches, with the rows of then', async () => {
    const answers: boolean[] = [];
    for (const [index, { time, rows: expected }] of moments.entries()) {
      const answer = await lab()
        .json<Answer>('window', '--at', time)
        .catch(() => undefined);
      answers.push(answer !== undefined);
      if (answer === undefined) {
        expect(await lab().error('window', '--at', time)).toMatchObject({ exitCode: 13 });
        expect(await lab().error('restore', '--to', time, '--data-directory', join(lab().directory, `no-${index}`))).toMatchObject({
          exitCode: 13,
        });
        continue;
      }
      const restored = await lab().restore(`at-${index}`, '--to', time);
      expect(restored.backup.label).toBe(answer.ways[0]?.label);
      expect(await rowsOf(restored)).toEqual(expected);
      await lab().stop(restored.dataDirectory);
    }
    // The second and the third lie behind the hole, and before the backup that ended after it.
    expect(answers).toEqual([true, false, false, true]);
  });

  test('do not reach where PostgreSQL itself does not get', async () => {
    const target = join(lab().directory, 'bare');
    const time = moments[1]?.time ?? '';
    await lab().makeDirectory('bare');
    const places = [
      `--pg1-path=${target}`,
      `--repo1-path=${join(lab().directory, 'repository')}`,
      `--lock-path=${await lab().makeDirectory('lock')}`,
    ];
    const wanted = [
      '--type=time',
      `--target=${time.replace('T', ' ').replace('Z', '+00')}`,
      '--target-action=promote',
      `--set=${labels[0] ?? ''}`,
    ];
    await lab().asOwner('pgbackrest', '--stanza=lab', '--log-level-file=off', ...places, ...wanted, 'restore');
    const log = join(target, 'log.txt');
    const options = `-k ${target} -p 5432 -c listen_addresses= -c archive_mode=off`;
    await lab().postgresql('pg_ctl', 'start', '--no-wait', '--silent', `--pgdata=${target}`, `--log=${log}`, `--options=${options}`);
    await until('it has given up', async () =>
      (
        await lab()
          .asOwner('cat', log)
          .catch(() => '')
      ).includes('database system is shut down'),
    );
    expect(await lab().asOwner('cat', log)).toContain('recovery ended before configured recovery target was reached');
  });
});
