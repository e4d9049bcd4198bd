import { expect, test } from 'vitest';
import { parsePs } from '../../../src/lab/ps.ts';
import { readStartIdentity, listProcesses } from '../../../src/lab/process-table.ts';

test('a line of ps gives pid, parent, start and arguments; dead processes are left out', () => {
  const output = [
    '    1     0 Ss   Sun Nov  2 21:15:48 2026     /sbin/init',
    ' 4711     1 S    Sun Nov 22 22:10:08 2026     /usr/lib/postgresql/15/bin/postgres -D /tmp/lab/primary-1/data',
    ' 4712  4711 Z    Sun Nov 22 22:10:09 2026     [postgres] <defunct>',
  ].join('\n');
  expect(parsePs(output).map(({ pid, parentPid, startIdentity, argv }) => ({ pid, parentPid, startIdentity, argv }))).toEqual([
    { pid: 1, parentPid: 0, startIdentity: 'Sun Nov 2 21:15:48 2026', argv: ['/sbin/init'] },
    {
      pid: 4711,
      parentPid: 1,
      startIdentity: 'Sun Nov 22 22:10:08 2026',
      argv: ['/usr/lib/postgresql/15/bin/postgres', '-D', '/tmp/lab/primary-1/data'],
    },
  ]);
});

test('a process has the same identity each time it is looked at, and another than its parent', async () => {
  const own = await readStartIdentity(process.pid);
  expect(own).toBeDefined();
  expect((await listProcesses()).find((each) => each.pid === process.pid)).toMatchObject({ parentPid: process.ppid, startIdentity: own });
  expect(await readStartIdentity(process.ppid)).not.toBe(own);
});
