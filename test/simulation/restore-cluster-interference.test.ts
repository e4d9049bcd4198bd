import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readContent, readControl, writeDataDirectory } from '../fakes/data-directory.ts';
import { POSTGRES_USER } from '../fakes/world.ts';
import { anyPlace, beginWithCluster, type Place, pointAt } from './restore-cluster-play.ts';
import { type ClusterScenario, clusterScenario, type ClusterStory } from './restore-cluster-scenario.ts';
import { attemptRestore } from './restore-run.ts';
import { simulation } from './seeds.ts';

/** What somebody else does to the first standby. */
type Interference = 'promotes it' | 'puts another data directory there';

/** Gives what tells afterwards whether it was touched; undefined where there is nothing to do. */
function interfere(story: ClusterStory, what: Interference): (() => readonly string[]) | undefined {
  const { world, standbys, intent } = story;
  const path = standbys[0]?.dataDirectory ?? '';
  const directory = world.fs.directory(path);
  const server = directory === undefined ? undefined : world.serverOn(directory.identity);
  if (what === 'promotes it') {
    if (server?.phase !== 'standby') return undefined;
    server.promote();
  } else {
    server?.kill();
    if (directory !== undefined) world.fs.rename(path, '/srv/moved-away');
    writeDataDirectory(world.fs, path, {
      control: { systemIdentifier: intent.systemIdentifier, state: 'shut down', timeline: 9, redo: '0/9000028', consistentAt: '0/9000028' },
      content: { lsn: '0/9000028', timeline: 9 },
      owner: POSTGRES_USER,
      postgresqlConf: '',
    });
  }
  const stateOf = () => {
    const found = world.fs.directory(path);
    return found === undefined ? 'gone' : JSON.stringify([found.identity, readContent(found), readControl(found)]);
  };
  const [before, promoted] = [stateOf(), what === 'promotes it' ? server : undefined];
  return () => [
    ...(stateOf() === before ? [] : [`${path} was touched`]),
    ...(promoted === undefined || world.servers.has(promoted) ? [] : ['the server that was promoted was stopped']),
  ];
}

/** Between the last look and a stop, which goes by the path, nothing comes. */
function isStopOf(point: string | undefined, { standbys }: ClusterStory): boolean {
  return point === `stop server ${standbys[0]?.dataDirectory}` || point === 'stop service';
}

/** From where on the directory is the run's own: where the new data takes the place, or where it is begun to work on the old. */
function takenAt(passed: readonly string[], { standbys }: ClusterStory): number {
  const renamed = passed.findIndex((name) => name.startsWith('rename ') && name.endsWith(` to ${standbys[0]?.dataDirectory}`));
  const begun = passed.findIndex((name) => /^append step-started (rewind|restore)-standby standby-1$/.test(name));
  const first = renamed >= 0 ? renamed : begun;
  return first < 0 ? passed.length : first;
}

async function play(scenario: ClusterScenario, what: Interference, place: Place): Promise<void> {
  const options = { reusesInodes: false };
  const [calm, story] = [await beginWithCluster(scenario, options), await beginWithCluster(scenario, options)];
  if (calm === undefined || story === undefined) return;
  const { passed } = (await attemptRestore(calm)).process;
  const point = pointAt(passed, place);
  let touched: (() => readonly string[]) | undefined;
  const act = () => {
    touched = interfere(story, what);
  };
  if (isStopOf(passed[point - 1], story) || point - 1 > takenAt(passed, story)) return;
  await attemptRestore(story, { disturbances: new Map([[point, { kind: 'act', moment: 'before', act }]]) });
  await attemptRestore(story);
  expect(touched?.() ?? [], `${what} at ${passed[point - 1]}`).toEqual([]);
}

describe('the restore of a cluster of which somebody else takes a standby meanwhile', () => {
  it('touches nothing of theirs, then and when it is resumed', async () => {
    const interference = fc.constantFrom<Interference>('promotes it', 'puts another data directory there');
    await fc.assert(fc.asyncProperty(clusterScenario, interference, anyPlace, play), simulation(100));
  });
});
