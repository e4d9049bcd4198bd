import { describe, expect, it } from 'vitest';
import { commits } from '../fakes/cluster.ts';
import {
  type CalmCluster,
  type ClusterBlow,
  beginWithCluster,
  expectAsBefore,
  giveUp,
  serversOf,
  strikeCluster,
  tellClusterCalmly,
} from './restore-cluster-play.ts';
import type { ClusterScenario } from './restore-cluster-scenario.ts';
import { attemptRestore } from './restore-run.ts';

const running = { isRunning: true, reached: 0, service: 'pg_ctl' } as const;

/** Two standbys, and clients that go through PgBouncer or by the endpoints. */
const cluster: ClusterScenario = {
  restore: {
    ...{ events: [{ kind: 'restore point', name: 'there' }, ...commits(4)], repositories: 1, primary: 'running', service: 'pg_ctl' },
    ...{ tablespaces: 0, configurationInDataDirectory: true, unarchivedEvents: 0, destination: 'in place', timeline: 'latest' },
    ...{ target: { kind: 'name', position: 0, inclusive: true }, targetAction: 'promote', start: true, discardOld: false, faults: [] },
  },
  ...{ standbys: [running, running], bouncer: 'ours', hasEndpoints: true, databaseMib: 1, mayRewind: false },
};

async function tell(scenario: ClusterScenario): Promise<CalmCluster> {
  const calm = await tellClusterCalmly(scenario);
  if (calm === undefined) throw new Error('the restore was refused');
  return calm;
}

/** Right before that point. */
function blowAt({ attempt }: CalmCluster, point: string, kind: ClusterBlow['kind']): ClusterBlow {
  const { passed } = attempt.process;
  const index = passed.findIndex((name) => name === point);
  expect(index).toBeGreaterThan(0);
  return { kind, moment: 'before', place: { share: (index + 0.5) / passed.length, among: 'all' } };
}

const STOP_OF_THE_PRIMARY = 'stop server /var/lib/postgresql/15/main';

describe('the restore of a cluster', () => {
  it('has everybody follow the restored primary at the end', async () => {
    expect((await tell(cluster)).attempt.end).toEqual({ kind: 'done' });
  });

  it('that fails leaves a standby stopped that somebody else had stopped', async () => {
    const restore = { ...cluster.restore, target: { kind: 'xid', position: 0, inclusive: false } as const };
    const { story, attempt } = await tell({ ...cluster, restore, standbys: [{ ...running, isRunning: false }, running] });
    expect(attempt.end.kind).toBe('failed');
    expect(serversOf(story).map((server) => server !== undefined)).toEqual([true, false, true]);
  });

  it('that is given up when its primary was stopped has it serve again', async () => {
    const calm = await tell(cluster);
    const story = await beginWithCluster(cluster);
    if (story === undefined) throw new Error('the restore was refused');
    const before = serversOf(story);
    const point = 1 + calm.attempt.process.passed.indexOf(STOP_OF_THE_PRIMARY);
    await attemptRestore(story, { disturbances: new Map([[point, { kind: 'crash', moment: 'after' }]]) });
    expect(story.world.origin()).toBeUndefined();
    expect((await giveUp(story)).error).toBeUndefined();
    expect(serversOf(story)).toEqual(before);
    expectAsBefore(story);
  });

  it('has PgBouncer read what was written for it before the program died', async () => {
    const calm = await tell(cluster);
    await strikeCluster(calm, [blowAt(calm, 'reload PgBouncer', 'crash')]);
  });

  it('seeds no standby from a backup that was found damaged before', async () => {
    const events = [{ kind: 'backup', repository: 0, type: 'full' } as const, ...commits(4)];
    const restore = {
      ...cluster.restore,
      events,
      faults: ['damaged backup'] as const,
      target: { kind: 'latest', position: 0, inclusive: true } as const,
    };
    const { story, attempt } = await tell({ ...cluster, restore, databaseMib: 4096 });
    expect(attempt.end).toEqual({ kind: 'done' });
    expect(story.world.repositories.map(({ damagedBackups }) => damagedBackups.size)).toEqual([1]);
  });

  it('neither copies from a standby that somebody has started again with its old data, nor sends anybody there', async () => {
    const calm = await tell(cluster);
    await strikeCluster(calm, [blowAt(calm, STOP_OF_THE_PRIMARY, 'starts everything')]);
  });

  it('leaves a standby alone whose directory is not the one that was confirmed', async () => {
    const story = await beginWithCluster(cluster, { reusesInodes: false });
    const [first] = story?.standbys ?? [];
    if (story === undefined || first === undefined) throw new Error('the restore was refused');
    const { fs } = story.world;
    const act = () => {
      story.world.serverAt(first)?.kill();
      fs.rename(first.dataDirectory, '/srv/moved-away');
    };
    const { end } = await attemptRestore(story, { disturbances: new Map([[1, { kind: 'act', moment: 'before', act }]]) });
    expect(end).toMatchObject({ kind: 'failed', error: { code: 'PLAN_STALE', hint: expect.stringContaining('reseed standby-1') } });
    expect(fs.directory(first.dataDirectory)).toBeUndefined();
  });
});
