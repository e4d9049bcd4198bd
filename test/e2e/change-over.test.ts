import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Document, parseDocument } from 'yaml';
import { Ledger, type LedgerEntry } from '../../scripts/ledger.ts';
import { type Lab, urlOf, useLab } from '../harness/lab.ts';
import { backUp } from './ledger/backups.ts';
import { expectRows } from './ledger/expect-restored.ts';
import { isoOf, upTo } from './ledger/targets.ts';

/** From one engine to the other and back, as docs/change-over.md says it, with commits all the time and no instant lost. */
const theLab = useLab({ nodes: 1, s3: false });
const ONE_AT_A_TIME = { timeout: 180_000 };
let ledger: Ledger;
/** The last commit of each time: with the one engine, with both, with the other. */
const last = {} as Record<'pgbackrest' | 'both' | 'native' | 'again', LedgerEntry>;

interface Status {
  readonly gaps: boolean;
  readonly repositories: readonly { readonly name: string; readonly engine: string; readonly gaps: readonly unknown[] }[];
}

beforeAll(async () => {
  ledger = await Ledger.open(urlOf(theLab().primary));
}, 120_000);

afterAll(() => ledger.close());

async function configure(lab: Lab, change: (document: Document) => void): Promise<void> {
  const { config } = lab.description;
  const document = parseDocument(await readFile(config, 'utf8'));
  change(document);
  await writeFile(config, document.toString());
}

/** The last instant of a time can be had from that repository, with every row. */
async function expectReachable(lab: Lab, repository: string, target: LedgerEntry): Promise<void> {
  const result = await lab.restore('copy', '--to', isoOf(target.committedMicros), '--repo', repository);
  try {
    await expectRows(result, upTo(ledger.entries, target));
  } finally {
    await lab.remove(result);
  }
}

async function archiveCommand(lab: Lab): Promise<string> {
  return (await lab.postgresql('psql', '--no-psqlrc', '-Atc', 'SHOW archive_command', urlOf(lab.primary))).trim();
}

test('both engines keep the cluster at once, each with all of the WAL from then on', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  await backUp(lab, ledger, 'full');
  last.pgbackrest = await ledger.commit(3);

  const place = join(lab.directory, 'own');
  await mkdir(place, { mode: 0o700 });
  await chown(place, lab.owner.uid, lab.owner.gid);
  await configure(lab, (document) => {
    document.addIn(['clusters', 'lab', 'repositories'], { name: 'own', kind: 'local', path: place, engine: 'native' });
  });
  await lab.json('setup', 'archiving');
  expect(await archiveCommand(lab)).toMatch(/pgbackrest .* && .*spoke-wal-push/);

  const taken = await backUp(lab, ledger, 'full', '--repo', 'own');
  expect(taken).toMatchObject([{ repository: 'own', engine: 'native', type: 'full' }]);
  await ledger.commit(2);
  expect(await backUp(lab, ledger, 'incr', '--repo', 'local')).toMatchObject([{ repository: 'local', engine: 'pgbackrest' }]);
  last.both = await ledger.commit(3);
  await expectReachable(lab, 'own', last.both);
  await expectReachable(lab, 'local', last.both);
  expect(await lab.json<Status>('status')).toMatchObject({
    gaps: false,
    repositories: [
      { name: 'local', engine: 'pgbackrest', gaps: [] },
      { name: 'own', engine: 'native', gaps: [] },
    ],
  });
});

test('the other engine keeps it alone, and what was before can still be had of the first', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  const before = await readFile(lab.description.config, 'utf8');
  await configure(lab, (document) => {
    document.deleteIn(['clusters', 'lab', 'repositories', 0]);
    document.deleteIn(['clusters', 'lab', 'pgbackrest']);
    document.setIn(['clusters', 'lab', 'engine'], 'native');
  });
  await lab.json('setup', 'archiving');
  expect(await archiveCommand(lab)).not.toContain('pgbackrest');
  last.native = await ledger.commit(3);
  await expectReachable(lab, 'own', last.native);
  await expectReachable(lab, 'own', last.both);
  expect(await lab.json<Status>('status')).toMatchObject({ gaps: false, repositories: [{ name: 'own', gaps: [] }] });

  const old = join(lab.directory, 'old.yaml');
  await writeFile(old, before);
  const directory = join(lab.directory, 'copy');
  const target = isoOf(last.pgbackrest.committedMicros);
  const argv = ['restore', '--data-directory', directory, '--to', target, '--repo', 'local', '--config', old];
  const result = await lab.json<{ dataDirectory: string; socketDirectory: string; port: number }>(...argv);
  await expectRows(result, upTo(ledger.entries, last.pgbackrest));
  await lab.remove(result);
});

test('and back again', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  await configure(lab, (document) => {
    const path = join(lab.directory, 'repository');
    document.addIn(['clusters', 'lab', 'repositories'], { name: 'local', kind: 'local', path, engine: 'pgbackrest' });
  });
  await lab.json('setup', 'archiving');
  expect(await backUp(lab, ledger, 'full', '--repo', 'local')).toMatchObject([{ repository: 'local', engine: 'pgbackrest' }]);
  last.again = await ledger.commit(3);
  await expectReachable(lab, 'local', last.again);
  await expectReachable(lab, 'own', last.again);
  await expectReachable(lab, 'local', last.pgbackrest);
});
