import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { querySocket, useLab } from '../harness/lab.ts';
import { reconfigure } from './support/config.ts';
import { RunningDaemon } from './support/daemon.ts';
import { Rows, rowsOf } from './support/data.ts';
import { receiverOf, untilTailHasAll } from './support/streaming.ts';

interface Status {
  readonly repositories: readonly { readonly name: string; readonly tail: { readonly endLsn: string } | null }[];
}

describe('WAL that is streamed encrypted, with the native engine, to a directory and to a bucket', () => {
  const lab = useLab({ engine: 'native' });
  const phrase = 'what nobody else may read';
  let daemon: RunningDaemon;
  let rows: Rows;

  beforeAll(async () => {
    const identityFile = join(lab().directory, 'age-identity');
    execFileSync('age-keygen', ['-o', identityFile], { stdio: 'ignore' });
    await chmod(identityFile, 0o600);
    const recipient = execFileSync('age-keygen', ['-y', identityFile], { encoding: 'utf8' }).trim();
    await reconfigure(lab(), (document) => {
      document.setIn(['clusters', 'lab', 'encryption'], { recipients: [recipient], identityFile });
      document.setIn(['clusters', 'lab', 'wal'], { streaming: true, tailSeconds: 1 });
    });
    rows = await Rows.begin(lab());
    await lab().backup('full');
    daemon = new RunningDaemon(lab());
  });

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(daemon.tool.stderr);
  });

  afterAll(() => daemon.tool.kill('SIGKILL'));

  test('lies there in a form that only the owner of the private key can read', async () => {
    await daemon.line('it streams', ({ msg }) => msg.startsWith('streaming WAL from'));
    await receiverOf(lab());
    await querySocket(lab().primary, `CREATE TABLE secret AS SELECT '${phrase}'::text AS phrase`);
    await untilTailHasAll(lab(), lab().primary);
    const folder = join(lab().directory, 'repository/spoke-backup/lab/tail/00000001');
    // A whole segment lies there, too, until the archive is seen to hold it.
    const names = readdirSync(folder).sort();
    const segment = names.findLast((name) => name.endsWith('.partial.zst.age')) ?? '';
    for (const name of names.filter((one) => one !== 'tail.json')) {
      expect(name).toMatch(/^[0-9A-F]{24}(\.partial)?\.zst\.age$/);
      expect(readFileSync(join(folder, name)).subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    }
    const plain = execFileSync('sh', [
      '-c',
      `age -d -i "$1" "$2" | zstd -dc | grep -c "$3"`,
      'sh',
      join(lab().directory, 'age-identity'),
      join(folder, segment),
      phrase,
    ]);
    expect(Number(plain.toString())).toBeGreaterThan(0);
  });

  test('reaches both repositories, and with everything else gone the bucket brings all back', async () => {
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
    const [local] = (await lab().json<Status>('status')).repositories;
    const inBucket = async () => (await lab().json<Status>('status')).repositories.find(({ name }) => name === 's3')?.tail?.endLsn;
    await expect.poll(inBucket, { timeout: 60_000, interval: 500 }).toBe(local?.tail?.endLsn);
    const expected = await rows.now();
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    await lab().stop(lab().primary.dataDirectory, 'immediate');
    await rename(lab().primary.dataDirectory, `${lab().primary.dataDirectory}.gone`);
    await rm(join(lab().description.stateDirectory, 'wal-stream'), { recursive: true });
    await rename(join(lab().directory, 'repository'), join(lab().directory, 'repository.gone'));
    const restored = await lab().restore('restored', '--to', 'latest', '--repo', 's3');
    expect(await rowsOf(restored)).toEqual(expected);
    expect(await querySocket(restored, 'SELECT phrase FROM secret')).toEqual([{ phrase }]);
    await lab().remove(restored);
  });
});
