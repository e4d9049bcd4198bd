import { describe, expect, it } from 'vitest';
import { commits } from '../fakes/cluster.ts';
import { strike, tellCalmly } from './restore-play.ts';
import type { RestoreScenario } from './restore-scenario.ts';

/** Two backups with a restore point between them; who asks for what lies before the second gets it from the first. */
const twoBackups: RestoreScenario = {
  events: [{ kind: 'restore point', name: 'between' }, { kind: 'backup', repository: 0, type: 'full' }, ...commits(8)],
  repositories: 1,
  primary: 'crashed',
  service: 'pg_ctl',
  tablespaces: 1,
  configurationInDataDirectory: true,
  unarchivedEvents: 0,
  destination: 'in place',
  target: { kind: 'name', position: 0, inclusive: true },
  timeline: 'latest',
  targetAction: 'promote',
  start: true,
  discardOld: true,
  faults: [],
};

const SHARE_OF_THE_COMMIT_DURING_THE_SECOND_BACKUP = 0.3;

const toldStories: readonly (readonly [what: string, scenario: RestoreScenario])[] = [
  ['a restore point before the newest backup', twoBackups],
  [
    'a restore point before the newest backup, whose own WAL is damaged in the archive and was never lost on the server',
    { ...twoBackups, unarchivedEvents: 8, faults: ['damaged segment'] },
  ],
  [
    'the instant before a transaction that ended while the newest backup was taken',
    { ...twoBackups, target: { kind: 'xid', position: SHARE_OF_THE_COMMIT_DURING_THE_SECOND_BACKUP, inclusive: false } },
  ],
  [
    'the end of the archive, on a server that runs',
    { ...twoBackups, primary: 'running', target: { ...twoBackups.target, kind: 'latest' } },
  ],
  [
    'the end of the archive, beside the server and not started',
    { ...twoBackups, target: { ...twoBackups.target, kind: 'latest' }, destination: 'existing', start: false },
  ],
];

/** After one change is before the next. What cannot be done by halves is struck after it. */
const BLOWS = [
  { kind: 'machine crash', moment: 'before' },
  { kind: 'crash', moment: 'during' },
  { kind: 'cancel', moment: 'during' },
] as const;

describe.each(toldStories)('a restore to %s', (_what, scenario) => {
  it('reaches it, wherever it dies before, during or after anything that it does', async () => {
    const calm = await tellCalmly(scenario);
    expect(calm?.attempt.end).toEqual({ kind: 'done' });
    if (calm === undefined) return;
    const { points } = calm.attempt.process;
    for (let point = 0; point < points; point += 1)
      for (const blow of BLOWS) await strike(calm, [{ ...blow, place: (point + 0.5) / points, idleMs: 0 }], { checkTails: false });
  });
});
