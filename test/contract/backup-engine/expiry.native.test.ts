import { createHash } from 'node:crypto';
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { formatBackupRecord, parseBackupRecord } from '../../../src/domain/native/record-text.ts';
import { formatSums, parseSums } from '../../../src/domain/native/sums-text.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { daysAgo } from '../../harness/backdated.ts';
import { describeExpiry } from './expiry.contract.ts';
import { createNative, type NativeUnderTest } from './native-fixture.ts';

const ONE = 'one' as RepositoryName;
const CHAINS: readonly (readonly [full: number, incremental: number])[] = [
  [40, 38],
  [20, 18],
  [9, 1],
];
const context: OperationContext = { signal: new AbortController().signal };

/** Real backups of those ages, by the server's clock. What is expired does not depend on what is in an incremental one. */
async function createBackdated(): Promise<NativeUnderTest> {
  const tested = await createNative({ repositories: 1 });
  await tested.engine.createRepositories(context);
  await tested.primary.stop();
  const take = (days: number) =>
    daysAgo(tested.primary, days, tested.engine.archivingSettings(), async () => {
      const label = await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: `run-${days}` }, context);
      await tested.primary.sql('select txid_current()');
      await tested.engine.checkArchiving(context);
      return label;
    });
  for (const [full, incremental] of CHAINS) {
    const prior = await take(full);
    await makeIncremental(tested.rootOf(ONE), await take(incremental), prior);
  }
  return tested;
}

/** Has a full backup say of itself that it is relative to another. */
async function makeIncremental(root: string, full: BackupLabel, prior: BackupLabel): Promise<void> {
  const label = `${prior}_${full.replace(/F$/, 'I')}` as BackupLabel;
  const folder = join(root, 'backups', label);
  await rename(join(root, 'backups', full), folder);
  const [record, sums] = await Promise.all(['backup.json', 'SHA256SUMS'].map((name) => readFile(join(folder, name), 'utf8')));
  const changed = formatBackupRecord({ ...parseBackupRecord(record ?? '', full), label, type: 'incr', prior, references: [prior] });
  await writeFile(join(folder, 'backup.json'), changed);
  const hash = createHash('sha256').update(changed).digest('hex');
  await writeFile(join(folder, 'SHA256SUMS'), formatSums(new Map(parseSums(sums ?? '')).set('backup.json', hash)));
}

/** Name, size and time of every file in a repository. */
async function fingerprintOf(path: string): Promise<string> {
  const names = (await readdir(path, { recursive: true })).sort();
  const found = await Promise.all(names.map(async (name) => ({ name, ...(await stat(join(path, name))) })));
  return found.map(({ name, size, mtimeMs }) => `${name} ${size} ${mtimeMs}`).join('\n');
}

describeExpiry('the native engine letting real backups go', async () => {
  const tested = await createBackdated();
  return {
    ...{ reader: tested.reader, engine: tested.engine, repository: ONE, dispose: tested.dispose },
    now: () => createSystemClock().now(),
    fingerprint: () => fingerprintOf(tested.rootOf(ONE)),
  };
});
