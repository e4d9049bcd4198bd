import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../../..');
const configFile = join(repository, '.dependency-cruiser.cjs');
const config = createRequire(import.meta.url)(configFile) as { forbidden: { name: string }[] };

/** A file, what it imports (a file of the program, or a package), and the rule that must object. */
const violations: [rule: string, file: string, imported: string][] = [
  ['no-circles', 'src/domain/one.ts', 'src/domain/two.ts'],
  ['resolvable', 'src/domain/lost.ts', 'src/domain/not-there.ts'],
  ['no-development-packages', 'src/cli/tested.ts', 'vitest'],
  ['not-from-tests', 'src/cli/faked.ts', 'test/fakes/clock.ts'],
  ['pure-without-node', 'src/domain/reads-files.ts', 'node:fs'],
  ['pure-without-node', 'src/plan/reads-files.ts', 'node:fs'],
  ['pure-without-node', 'src/workflows/backup/reads-files.ts', 'node:fs'],
  ['domain-without-packages', 'src/domain/checks-with-zod.ts', 'zod'],
  ['errors-import-nothing', 'src/errors.ts', 'src/domain/lsn.ts'],
  ['domain-imports', 'src/domain/uses-port.ts', 'src/ports/clock.ts'],
  ['plan-imports', 'src/plan/uses-workflow.ts', 'src/workflows/backup/plan.ts'],
  ['ports-import', 'src/ports/uses-workflow.ts', 'src/workflows/backup/plan.ts'],
  ['workflows-import', 'src/workflows/backup/uses-engine.ts', 'src/engine/run-plan.ts'],
  ['engine-imports', 'src/engine/uses-adapter.ts', 'src/adapters/clock/clock.ts'],
  ['agent-imports', 'src/agent/uses-composition.ts', 'src/composition.ts'],
  ['config-imports', 'src/config/uses-workflow.ts', 'src/workflows/backup/plan.ts'],
  ['telemetry-imports', 'src/telemetry/uses-engine.ts', 'src/engine/run-plan.ts'],
  ['adapters-import', 'src/adapters/clock/uses-workflow.ts', 'src/workflows/backup/plan.ts'],
  ['adapters-apart', 'src/adapters/clock/uses-postgres.ts', 'src/adapters/postgres/reader.ts'],
  ['adapters-built-in-one-place', 'src/cli/builds-adapter.ts', 'src/adapters/clock/clock.ts'],
  ['shells-last', 'src/adapters/clock/uses-shell.ts', 'src/cli/program.ts'],
  ['pg-in-postgres', 'src/adapters/clock/uses-pg.ts', 'pg'],
  ['aws-sdk-in-s3', 'src/lab/uses-sdk.ts', '@aws-sdk/client-s3'],
  ['pino-in-telemetry', 'src/engine/uses-pino.ts', 'pino'],
  ['nodemailer-in-notify', 'src/engine/uses-nodemailer.ts', 'nodemailer'],
  ['node-cron-in-daemon', 'src/engine/uses-cron.ts', 'node-cron'],
  ['commander-in-cli', 'src/engine/uses-commander.ts', 'commander'],
  ['processes-through-the-runner', 'src/adapters/postgres/spawns.ts', 'node:child_process'],
];

/** Imports that the layers are there for. */
const allowed: [file: string, imported: string][] = [
  ['src/domain/two.ts', 'src/domain/one.ts'],
  ['src/domain/lsn.ts', 'temporal-polyfill'],
  ['src/ports/clock.ts', 'src/domain/lsn.ts'],
  ['src/workflows/backup/plan.ts', 'src/ports/clock.ts'],
  ['src/engine/run-plan.ts', 'src/workflows/backup/plan.ts'],
  ['src/adapters/clock/clock.ts', 'src/ports/clock.ts'],
  ['src/adapters/postgres/reader.ts', 'pg'],
  ['src/adapters/common/file-error.ts', 'src/domain/one.ts'],
  ['src/adapters/clock/uses-common.ts', 'src/adapters/common/file-error.ts'],
  ['src/adapters/process/runner.ts', 'node:child_process'],
  ['src/adapters/s3/store.ts', '@aws-sdk/client-s3'],
  ['src/telemetry/log.ts', 'pino'],
  ['src/composition.ts', 'src/adapters/clock/clock.ts'],
  ['src/cli/program.ts', 'src/composition.ts'],
  ['src/main.ts', 'src/cli/program.ts'],
];

/** Imported by others; these import nothing. */
const leaves = ['test/fakes/clock.ts'];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

describe('the rules about layers', () => {
  const house = mkdtempSync(join(tmpdir(), 'layers-'));
  let found: readonly Violation[] = [];

  beforeAll(() => {
    for (const file of leaves) write(file, 'export const nothing = 0;\n');
    for (const [file, imported] of [...allowed, ...violations.map(([, file, imported]) => [file, imported] as const)]) {
      const from = imported.startsWith('src/') || imported.startsWith('test/') ? relativeImport(file, imported) : imported;
      write(file, `import * as it from '${from}';\nexport const used = it;\n`);
    }
    for (const name of ['package.json', 'tsconfig.json', 'node_modules']) symlinkSync(join(repository, name), join(house, name));
    const { stdout, stderr } = spawnSync(process.execPath, [depcruise(), '--config', configFile, '--output-type', 'json', 'src'], {
      cwd: house,
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(stderr);
    found = (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
  }, 60_000);

  afterAll(() => rmSync(house, { recursive: true, force: true }));

  it.each(violations)('%s objects when %s imports %s', (rule, file) => {
    expect(found.filter(({ from }) => from === file).map((violation) => violation.rule.name)).toContain(rule);
  });

  it.each(allowed)('nothing objects when %s imports %s', (file) => {
    expect(found.filter(({ from, rule }) => from === file && rule.name !== 'no-circles')).toEqual([]);
  });

  it('are each shown to object', () => {
    expect(new Set(violations.map(([rule]) => rule))).toEqual(new Set(config.forbidden.map(({ name }) => name)));
  });

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(house, file)), { recursive: true });
    writeFileSync(join(house, file), text);
  }
});

function depcruise(): string {
  return join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
}

function relativeImport(from: string, to: string): string {
  const path = relative(dirname(from), to);
  return path.startsWith('.') ? path : `./${path}`;
}
