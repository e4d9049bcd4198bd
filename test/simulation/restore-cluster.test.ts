import fc from 'fast-check';
import { describe, it } from 'vitest';
import { anyPlace, type ClusterBlow, strikeCluster, tellClusterCalmly } from './restore-cluster-play.ts';
import { type ClusterScenario, clusterScenario } from './restore-cluster-scenario.ts';
import { simulation } from './seeds.ts';

const anyBlow: fc.Arbitrary<ClusterBlow> = fc.record({
  place: anyPlace,
  kind: fc.constantFrom('crash', 'machine crash', 'cancel', 'starts everything'),
  moment: fc.constantFrom('before', 'during', 'after'),
});

async function play(scenario: ClusterScenario, blows: readonly ClusterBlow[]): Promise<void> {
  const calm = await tellClusterCalmly(scenario);
  if (calm !== undefined) await strikeCluster(calm, blows);
}

describe('the restore of a cluster that is interrupted', () => {
  it('comes to the same end as one that was not, however often and wherever it dies', async () => {
    await fc.assert(fc.asyncProperty(clusterScenario, fc.array(anyBlow, { minLength: 1, maxLength: 3 }), play), simulation(300));
  });
});
