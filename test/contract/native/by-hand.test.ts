import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { newestInstallation } from '../../harness/postgres.ts';
import { createNative, type NativeOptions, type NativeUnderTest } from '../backup-engine/native-fixture.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/native-repository.md'), 'utf8');
const context: OperationContext = { signal: new AbortController().signal };

/** The commands below a heading of the page, block by block. */
function commandsOf(step: number): readonly string[] {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${step}. `)) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

/** What the first block of a section sets, and nothing else may be changed by a reader. */
function assign(block: string | undefined, values: Readonly<Record<string, string>>): string {
  const names = [...(block ?? '').matchAll(/^(\w+)=/gm)].map(([, name = '']) => name);
  expect(Object.keys(values).sort()).toEqual(names.sort());
  return Object.entries(values)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join('');
}

describe('docs/native-repository.md', () => {
  let tested: NativeUnderTest | undefined;
  let keyDirectory: string | undefined;
  afterEach(async () => {
    await tested?.dispose();
    if (keyDirectory !== undefined) rmSync(keyDirectory, { recursive: true });
    keyDirectory = undefined;
  });

  /** Follows the page, as the owner of the servers, and counts what is there then. */
  async function follow(steps: readonly number[], values: { readonly backup: string; readonly target: string; readonly members?: string }) {
    if (tested === undefined) throw new Error('there is no server');
    const { area, settings } = tested;
    const { binDirectory } = await newestInstallation();
    const root = await area.directory('by-hand');
    const [variables, ...first] = commandsOf(1);
    const script = [
      `PATH=${binDirectory}:$PATH\n`,
      assign(variables, {
        repository: tested.rootOf(tested.repositories[0]),
        backup: values.backup,
        ...{ data: `${root}/data`, tablespaces: `${root}/tablespaces`, work: `${root}/work` },
        identity: settings.encryption?.identityFile ?? '',
        target: values.target,
        start_options: `-c archive_mode=off -c listen_addresses= -c unix_socket_directories=${root} -c hot_standby=on`,
      }),
      ...first,
      ...steps.flatMap((step) => {
        const blocks = commandsOf(step);
        return step === 4 ? [assign(blocks[0], { members: values.members ?? '' }), ...blocks.slice(1)] : blocks;
      }),
    ].join('\n');
    area.onRemove(() =>
      area.run(join(binDirectory, 'pg_ctl'), ['-D', `${root}/data`, '-m', 'immediate', 'stop']).then(
        () => undefined,
        () => undefined,
      ),
    );
    const said = await area.run('sh', ['-euc', script]);
    const sql = (statement: string) =>
      area.run(join(binDirectory, 'psql'), ['-XAtqh', root, '-U', 'postgres', '-d', 'postgres', '-c', statement]);
    await expect.poll(() => sql('select pg_is_in_recovery()'), { timeout: 60_000 }).toBe('f\n');
    return { said, rows: (await sql('select string_agg(id::text, $$,$$ order by id) from ledger')).trim() };
  }

  async function start(options: NativeOptions = {}): Promise<NativeUnderTest> {
    tested = await createNative(options);
    await tested.engine.createRepositories(context);
    const place = await tested.directory('place');
    await tested.primary.sql(`create tablespace side location '${place}'`);
    await tested.primary.sql('create table ledger (id int) tablespace side');
    await tested.primary.sql('insert into ledger values (1)');
    return tested;
  }

  const take = ({ engine, repositories }: NativeUnderTest, type: 'full' | 'incr'): Promise<BackupLabel> =>
    engine.takeBackup({ repository: repositories[0], type, runId: type }, context);

  /** A row before the instant, and one after it that has to be gone. */
  async function recordTarget({ primary, engine }: NativeUnderTest): Promise<string> {
    await primary.sql('insert into ledger values (2)');
    const target = await primary.sql('select clock_timestamp()');
    await primary.sql('insert into ledger values (3)');
    await engine.checkArchiving(context);
    return target;
  }

  it('restores a full backup with a tablespace to a time', async () => {
    const engine = await start();
    const backup = await take(engine, 'full');
    const target = await recordTarget(engine);
    // As the newest WAL is until it is packed.
    const newest = `cd '${engine.rootOf(engine.repositories[0])}/wal' && ls */*[0-9A-F].zst | tail -n 2`;
    await engine.area.run('sh', ['-euc', `${newest} | xargs zstd -q -d --rm`]);
    const { rows, said } = await follow([2, 3, 5, 6], { backup, target });
    expect(rows).toBe('1,2');
    expect(said).toMatch(/recovery stopping before commit of transaction/);
  });

  it('restores what is encrypted and compressed by lz4', async () => {
    const encryption = newKey();
    keyDirectory = dirname(encryption.identityFile);
    const engine = await start({ settings: { compressType: 'lz4', encryption } });
    const backup = await take(engine, 'full');
    expect((await follow([2, 3, 5, 6], { backup, target: await recordTarget(engine) })).rows).toBe('1,2');
  });

  it('restores an incremental backup with the one that it needs', async (testing) => {
    const { major } = await newestInstallation();
    if (major < 17) testing.skip(`PostgreSQL ${major} has no incremental backups`);
    const engine = await start();
    const full = await take(engine, 'full');
    const backup = await take(engine, 'incr');
    const { rows } = await follow([2, 4, 5, 6], { backup, target: await recordTarget(engine), members: `${full} ${backup}` });
    expect(rows).toBe('1,2');
  });

  it('lets damage be seen before anything is unpacked', async () => {
    const engine = await start();
    const backup = await take(engine, 'full');
    await engine.damage(engine.repositories[0], backup);
    await expect(follow([2, 3, 5, 6], { backup, target: await recordTarget(engine) })).rejects.toThrow(/sha256sum/);
  });
});

function newKey(): { readonly recipients: readonly string[]; readonly identityFile: string } {
  const directory = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
  const identityFile = join(directory, 'key.txt');
  execFileSync('age-keygen', ['-o', identityFile], { stdio: 'ignore' });
  const recipients = [execFileSync('age-keygen', ['-y', identityFile], { encoding: 'utf8' }).trim()];
  if (process.getuid?.() === 0) {
    const [uid = 0, gid = 0] = ['-u', '-g'].map((option) => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' })));
    for (const path of [directory, identityFile]) chownSync(path, uid, gid);
  }
  return { recipients, identityFile };
}
