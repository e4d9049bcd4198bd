import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { type CliResult, spoke, spokeJson } from '../harness/cli.ts';
import { querySocket, useLab } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { restoreAreasBeside, Rows, rowsOf, untilBackupsArePast } from './support/data.ts';
import { runsIn } from './support/journal.ts';
import { expectNothingElseRuns } from './support/processes.ts';
import { errorOf, runTool } from './support/tool.ts';

/** Within a cluster. */
const NAMED_IN_CONFIGURATION: readonly (readonly (string | number)[])[] = [
  ['stanza'],
  ['osUser'],
  ['pgbackrest', 'command'],
  ['nodes', 0, 'name'],
  ['nodes', 0, 'dataDirectory'],
  ['repositories', 0, 'name'],
  ['repositories', 0, 'path'],
];

/** As a problem is reported: `clusters.lab.nodes[0].name`. */
function placeOf(path: readonly (string | number)[]): string {
  return `clusters.lab${path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')}`;
}

describe('names that a shell, a path or a file would misread', () => {
  const lab = useLab({ s3: false });

  /** What only a shell would make. */
  const canary = () => join(lab().directory, 'pwned');

  /** A process cannot be given a NUL in its arguments: that is for the configuration file. */
  const hostile = () => ['x; rm -rf /', `x; touch ${canary()}`, `$(touch ${canary()})`, '../', '-x', `it's "odd"`, 'a\nb', ''];

  /** All at once. */
  async function expectNothingDone(names: readonly string[], work: (name: string, index: number) => Promise<void>): Promise<void> {
    const look = () => ({ files: readdirSync(lab().directory), root: readdirSync('/'), runs: runsIn(lab().description.stateDirectory) });
    const before = look();
    await Promise.all(names.map(work));
    expect(look()).toEqual(before);
    await expectNothingElseRuns(lab());
  }

  const somewhere = ['restore', '--data-directory', '/nowhere/never'];

  test.each([
    ['--cluster', [...somewhere, '--to', 'latest'], [2]],
    ['--repo', [...somewhere, '--to', 'latest'], [2]],
    ['--set', [...somewhere, '--to', 'latest'], [2]],
    ['--timeline', [...somewhere, '--to', 'latest'], [2]],
    ['--tablespace-map', [...somewhere, '--to', 'latest'], [2]],
    ['--to', somewhere, [2]],
    ['--to-lsn', somewhere, [2]],
    // What could be meant finds no backup.
    ['--data-directory', ['restore', '--to', 'latest', '--dry-run'], [2, 12, 13]],
    ['--to-name', [...somewhere, '--dry-run'], [2, 13]],
    ['--config', ['status'], [10]],
    ['--timezone', ['status'], [2, 10]],
    ['--state-directory', ['status'], [2, 10]],
  ])('are no value of %s', async (option, argv, exitCodes) => {
    await expectNothingDone(hostile(), async (name) => {
      const ended = await runTool([...argv, `${option}=${name}`, '--json'], { config: lab().description.config });
      expect(exitCodes, `${JSON.stringify(name)}: ${ended.stderr}`).toContain(ended.exitCode);
      expect(errorOf(ended).code).not.toBe('INTERNAL');
    });
  });

  test.each([['show'], ['resume']])('are no run to %s', async (verb) => {
    // A word that begins with - would be an option.
    const words = hostile().filter((name) => !name.startsWith('-'));
    await expectNothingDone(words, async (name) => {
      const ended = await runTool(['runs', verb, name, '--json'], { config: lab().description.config });
      expect(errorOf(ended), JSON.stringify(name)).toMatchObject({ code: 'RUN_NOT_FOUND', exitCode: 2 });
    });
  });

  test('are nothing in the configuration file', async () => {
    const names = [...hostile(), 'nul\0', 'a\n[global]\nrepo1-path=/etc'];
    const configurations = await Promise.all(
      names.map((name, index) =>
        configurationWith(lab(), `hostile-${index}`, (document) => {
          for (const path of NAMED_IN_CONFIGURATION) document.setIn(['clusters', 'lab', ...path], name);
          document.setIn(['clusters', 'lab', 'pgbackrest', 'extraOptions', name], '1');
        }),
      ),
    );
    await expectNothingDone(names, async (name, index) => {
      const { exitCode, stdout } = await spoke(['backup', '--type', 'full'], { config: configurations[index] ?? '' });
      expect({ exitCode, stdout }, JSON.stringify(name)).toMatchObject({ exitCode: 10, stdout: expect.stringContaining('CONFIG_INVALID') });
      for (const path of NAMED_IN_CONFIGURATION) expect(stdout, JSON.stringify(name)).toContain(placeOf(path));
    });
  });

  describe('that are allowed', () => {
    const restorePoint = `x'; DROP TABLE numbers; --$(id)\\ "é" %p #`;
    const password = `it's "odd" \\ \\\\ $(id) \`id\` #1 %41 é €/@:?&=;{}`;
    let kept: readonly number[];
    let tablespace: string;

    beforeAll(async () => {
      const rows = await Rows.begin(lab());
      tablespace = await lab().makeDirectory('table $(touch pwned) "space"');
      await querySocket(lab().primary, `CREATE TABLESPACE apart LOCATION '${tablespace}'`);
      await querySocket(lab().primary, 'CREATE TABLE there TABLESPACE apart AS SELECT 1 AS n');
      await lab().backup('full');
      await untilBackupsArePast(lab());
      await rows.commit();
      kept = await rows.now();
      await querySocket(lab().primary, 'SELECT pg_create_restore_point($1)', [restorePoint]);
      await rows.commit();
      const [create] = await querySocket<{ statement: string }>(
        lab().primary,
        `SELECT format('CREATE ROLE odd SUPERUSER LOGIN PASSWORD %L', $1::text) AS statement`,
        [password],
      );
      await querySocket(lab().primary, create?.statement ?? '');
    });

    /** The file of a secret, as its owner may read it. */
    async function secretFile(name: string, secret: string): Promise<string> {
      const path = join(lab().directory, 'secrets', name);
      writeFileSync(path, `${secret}\n`, { mode: 0o600 });
      await chown(path, lab().owner.uid, lab().owner.gid);
      return path;
    }

    /** By TCP, where a password is asked for. */
    function connecting(reference: string, settings: Readonly<Record<string, unknown>> = {}) {
      const url = `postgresql://odd${reference}@127.0.0.1:${lab().primary.port}/postgres`;
      return configurationWith(lab(), 'odd', (document) => {
        for (const [name, value] of Object.entries({ url, ...settings })) document.setIn(['clusters', 'lab', 'nodes', 0, name], value);
      });
    }

    async function roleOf(config: string, environment = {}): Promise<{ readonly role: string; readonly printed: string }> {
      const { stdout, stderr } = await runTool(['status', '--json'], { config, environment });
      const { nodes } = JSON.parse(stdout) as { nodes: readonly { role: string }[] };
      return { role: nodes[0]?.role ?? '', printed: stdout + stderr };
    }

    test('connect as a password, however it is referred to, and are not printed', async () => {
      const file = await secretFile('odd', password);
      const configurations: readonly (() => Promise<{
        readonly config: string;
        readonly environment?: Readonly<Record<string, string>>;
      }>)[] = [
        async () => ({ config: await connecting(`:\${file:${file}}`) }),
        async () => ({ config: await connecting(':${env:SPOKE_TEST_PASSWORD}'), environment: { SPOKE_TEST_PASSWORD: password } }),
        async () => ({ config: await connecting('', { passwordFile: file }) }),
        async () => ({ config: await connecting('', { passwordCommand: ['cat', file] }) }),
      ];
      for (const configuration of configurations) {
        const { config, environment } = await configuration();
        const { role, printed } = await roleOf(config, environment);
        expect(role, printed).toBe('primary');
        expect(printed).not.toContain(password);
        expect(printed).not.toContain(encodeURIComponent(password));
      }
    });

    test('do not connect as another password, which is said without printing it', async () => {
      const wrong = `${password}!`;
      const config = await connecting(`:\${file:${await secretFile('wrong', wrong)}}`);
      const error = await failed(spoke(['backup', '--type', 'full'], { config }));
      expect(error).toMatchObject({ code: 'POSTGRES_UNAVAILABLE', exitCode: 20 });
      expect(error.printed).toContain('password authentication failed for user "odd"');
      expect(error.printed).not.toContain(password);
      expect(error.printed).not.toContain(encodeURIComponent(password));
    });

    async function failed(running: Promise<CliResult & { readonly document: unknown }>) {
      const { document, stdout, stderr } = await running;
      const { error } = document as { error: { code: string; exitCode: number } };
      return { ...error, printed: stdout + stderr };
    }

    test('are restored to, into, and by: restore point, directories and password', async () => {
      const name = `it's "odd" $(touch pwned) \`id\` \\ %f %p é; #&`;
      const moved = join(lab().directory, `moved ${name}`);
      const config = await connecting(`:\${file:${await secretFile('odd', password)}}`);
      const argv = ['restore', '--to-name', restorePoint, '--tablespace-map', `${tablespace}=${moved}`];
      const result = await spokeJson<RestoreResult>([...argv, '--data-directory', join(lab().directory, name)], { config });
      expect(result.dataDirectory).toBe(join(lab().directory, name));
      expect(await rowsOf(result)).toEqual(kept);
      expect(await querySocket(result, 'SELECT n FROM there')).toEqual([{ n: 1 }]);
      expect(readdirSync(moved)).toHaveLength(1);
      expect(restoreAreasBeside(result.dataDirectory)).toEqual([]);
      expect(readFileSync(join(result.dataDirectory, 'postgresql.auto.conf'), 'utf8')).not.toContain(password);
      await lab().remove(result);
      for (const directory of [lab().directory, lab().primary.dataDirectory, '/']) expect(readdirSync(directory)).not.toContain('pwned');
      await expectNothingElseRuns(lab());
    });

    test('are no directory where they have a line break in them', async () => {
      for (const options of [
        ['--data-directory', '/nowhere/a\nb'],
        ['--data-directory', '/nowhere/never', '--tablespace-map', '/a=/b\nc'],
      ]) {
        const error = await lab().error('restore', '--to', 'latest', ...options);
        expect(error).toMatchObject({ code: 'USAGE', exitCode: 2 });
      }
    });
  });
});
