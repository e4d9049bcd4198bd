import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger } from '../../scripts/ledger.ts';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { type Account, outputOf, PROGRAM, runProgram } from '../harness/cli.ts';
import { urlOf, useLab } from '../harness/lab.ts';
import { backUp } from './ledger/backups.ts';
import { expectCopy, expectRows, expectSettled, timeOf } from './ledger/expect-restored.ts';
import { isoOf, upTo } from './ledger/targets.ts';

/** The other tests run as whoever runs them; where that is root, the same has to work as the user postgres. */
async function otherUser(): Promise<{ readonly account: Account } | { readonly why: string }> {
  if (process.getuid?.() !== 0) return { why: 'only root can become another user; all the other tests ran as this one' };
  const [uid, gid] = await Promise.all(['-u', '-g'].map((option) => outputOf('id', [option, 'postgres'])));
  const account = { name: 'postgres', uid: Number(uid), gid: Number(gid) };
  const isReadable = (await runProgram('test', ['-x', PROGRAM], { account })).exitCode === 0;
  return isReadable ? { account } : { why: `the user postgres may not read ${PROGRAM}` };
}

const user = await otherUser();

if ('why' in user) test('everything works as the user postgres', (context) => context.skip(user.why));
else describe('as the user postgres, in a lab that it made', () => everythingWorks(user.account));

function everythingWorks(account: Account): void {
  const theLab = useLab({ nodes: 1, s3: false, account });
  let ledger: Ledger;

  beforeAll(async () => {
    ledger = await Ledger.open(urlOf(theLab().primary));
    await ledger.commit(2);
    await backUp(theLab(), ledger, 'full');
    await ledger.commit(5);
  }, 120_000);

  afterAll(() => ledger.close());

  test('a restore to an instant brings every acknowledged row up to it', async () => {
    const lab = theLab();
    const target = ledger.entries[3]!;
    const result = await lab.restore('copy', '--to', isoOf(target.committedMicros));
    await expectCopy(lab, result, 'copy');
    await expectRows(result, upTo(ledger.entries, target));
    expect(result.reached.time).toBe(timeOf(target));
    await lab.remove(result);
  });

  test('a restore in place brings every acknowledged row', async () => {
    const lab = theLab();
    const result = await lab.json<RestoreResult>('restore', '--to', 'latest', '--in-place', '--confirm', 'lab');
    await expectSettled(lab, result);
    await ledger.moveTo(urlOf(lab.primary));
    await expectRows(lab.primary, ledger.entries);
    await ledger.commit(1);
    await expectRows(lab.primary, ledger.entries);
  });

  test('nothing that was made belongs to anybody else', async () => {
    const { directory } = theLab();
    expect(await outputOf('find', [directory, '!', '-user', account.name])).toBe('');
  });
}
