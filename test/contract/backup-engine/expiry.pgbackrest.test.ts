import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import type { PgbackrestSettings } from '../../../src/adapters/pgbackrest/settings.ts';
import type { BackupType, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { planRetention } from '../../../src/domain/retention/plan-retention.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { daysAgo } from '../../harness/backdated.ts';
import { describeExpiry, RETENTION_DAYS } from './expiry.contract.ts';
import { createPgbackrest, pathOf, type PgbackrestUnderTest } from './pgbackrest-fixture.ts';

const ONE = 'one' as RepositoryName;
const AGES: readonly (readonly [days: number, type: BackupType])[] = [
  [40, 'full'],
  [38, 'incr'],
  [20, 'full'],
  [18, 'incr'],
  [9, 'full'],
  [1, 'incr'],
];
const context: OperationContext = { signal: new AbortController().signal };

let created: Promise<PgbackrestUnderTest> | undefined;

/** Made once: what only looks comes first, and the last one disposes of it. */
function backdated(): Promise<PgbackrestUnderTest> {
  return (created ??= createBackdated());
}

/** Real backups of those ages: the server's clock is what pgBackRest goes by. */
async function createBackdated(): Promise<PgbackrestUnderTest> {
  const tested = await createPgbackrest({ repositories: 1 });
  await tested.engine.createRepositories(context);
  await tested.primary.stop();
  for (const [days, type] of AGES)
    await daysAgo(tested.primary, days, tested.engine.archivingSettings(), async () => {
      await tested.engine.takeBackup({ repository: ONE, type, runId: `run-${days}` }, context);
      await tested.primary.sql('select txid_current()');
      await tested.engine.checkArchiving(context);
    });
  return tested;
}

/** Name, size and time of every file in a repository. */
async function fingerprintOf(path: string): Promise<string> {
  const names = (await readdir(path, { recursive: true })).sort();
  const found = await Promise.all(names.map(async (name) => ({ name, ...(await stat(join(path, name))) })));
  return found.map(({ name, size, mtimeMs }) => `${name} ${size} ${mtimeMs}`).join('\n');
}

describe('the policy beside pgBackRest on a real repository', () => {
  let tested: PgbackrestUnderTest;

  beforeAll(async () => {
    tested = await backdated();
  }, 90_000);

  const withRepository = (change: { readonly path?: string; readonly retentionDays?: number }): Partial<PgbackrestSettings> => ({
    repositories: tested.settings.repositories.map((one) => (one.kind === 'local' ? { ...one, ...change } : one)),
  });

  async function planFor(days: number) {
    const { reader } = tested.withSettings(withRepository({ retentionDays: days }));
    const [snapshot, own] = [await reader.readRepository(ONE, { walArchive: true }, context), await reader.readOwnExpiry(ONE, context)];
    const facts = { snapshot, own, now: createSystemClock().now(), pins: [], verdicts: [], clocks: [], confirmed: true };
    return { own, plan: planRetention({ days, requireVerified: false, maxSharePercent: 100 }, facts) };
  }

  it.each([2, 7, 8, 9, 10, 19, 20, 21, 39, 41, 400])('agrees on what goes after %i days', async (days) => {
    const { own, plan } = await planFor(days);
    expect(plan.backups.filter(({ decision }) => decision === 'expire').map(({ backup }) => backup.label)).toEqual(own.backups);
    expect(plan.differences).toEqual([]);
    if (own.walFloors.length > 0) expect(own.walFloors).toEqual([plan.walFloor]);
  });

  it('leaves the same files as `pgbackrest expire` does, each in a copy of the repository', async () => {
    const [theirs, ours] = [await copyOf('theirs'), await copyOf('ours')];
    const common = [`--config=${tested.settings.configFile}`, `--stanza=${tested.settings.stanza}`, '--log-level-console=off', '--repo=1'];
    await tested.area.run('pgbackrest', [...common, `--repo1-path=${theirs}`, 'expire']);
    const { plan } = await planFor(RETENTION_DAYS);
    const { engine } = tested.withSettings({ ...withRepository({ path: ours }), configFile: `${tested.settings.configFile}.ours` });
    const backups = plan.backups.filter(({ decision }) => decision === 'expire').map(({ backup }) => backup);
    for (const { label } of backups.filter(({ type }) => type === 'full')) {
      const dependents = backups.filter(({ references }) => references.includes(label)).map((one) => one.label);
      await engine.expireBackup({ repository: ONE, label, dependents }, context);
    }
    const floor = plan.walFloor;
    if (floor === undefined) throw new Error('the plan takes no WAL');
    await engine.expireWal({ repository: ONE, floor }, context);
    expect(await filesIn(ours)).toEqual(await filesIn(theirs));
    expect(await filesIn(ours)).not.toEqual(await filesIn(pathOf(tested.settings, ONE)));
  });

  async function copyOf(name: string): Promise<string> {
    const copy = join(await tested.directory(name), 'repository');
    await tested.area.run('cp', ['-a', pathOf(tested.settings, ONE), copy]);
    return copy;
  }
});

async function filesIn(path: string): Promise<readonly string[]> {
  return (await readdir(path, { recursive: true })).sort();
}

describeExpiry('pgBackRest letting real backups go', async () => {
  const tested = await backdated();
  return {
    ...{ reader: tested.reader, engine: tested.engine, repository: ONE, dispose: tested.dispose },
    now: () => createSystemClock().now(),
    fingerprint: () => fingerprintOf(pathOf(tested.settings, ONE)),
  };
});
