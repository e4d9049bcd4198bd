import { describe, expect, it } from 'vitest';
import { conflictRule } from '../../../src/domain/concurrency/matrix.ts';
import { patroniWorkflow } from '../../../src/engine/patroni-workflow.ts';
import { decideReseedByPatroni, decideSwitchoverByPatroni } from '../../../src/workflows/patroni/decide.ts';
import { isPatroniIntent } from '../../../src/workflows/patroni/intent.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { FakePatroni, fakePatroniPorts } from '../../fakes/patroni.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const context = { signal: new AbortController().signal };

/** A world whose primary Patroni knows as `primary-1`, with a standby that the program cannot reach. */
function place() {
  const { world, cluster } = buildCluster();
  const primary = cluster.nodes[0]!;
  const fake = new FakePatroni('main', [primary.name, 'replica-9']);
  const configured = {
    ...cluster,
    nodes: [primary, { ...primary, name: 'replica-9', port: 5499 }],
    patroni: { urls: ['http://a'], scope: 'main' },
  };
  const ports = { ...fakePorts(new FakeProcess(world), configured), patroni: fakePatroniPorts(fake) };
  return { fake, cluster: configured, ports };
}

describe('a run that Patroni is asked for', () => {
  it('keeps backups and restores away while the leader changes, and from other reseeds', () => {
    const { cluster, ports } = place();
    const claims = (['switchover', 'failover', 'reseed'] as const).map((verb) =>
      patroniWorkflow(cluster, verb, ports).claim({} as never, context),
    );
    expect(claims).toMatchObject([{ verb: 'failover' }, { verb: 'failover' }, { verb: 'reseed' }]);
    expect(conflictRule('failover', 'backup')).toBe('always');
  });

  it('plans what is left, as it sees it', async () => {
    const { cluster, ports, fake } = place();
    const workflow = patroniWorkflow(cluster, 'switchover', ports);
    const look = () => workflow.observe({} as never, {} as never, context);
    const intent = decideSwitchoverByPatroni(cluster, { to: 'replica-9', thenBackup: false, run: 'run' }, await look());
    expect(isPatroniIntent(JSON.parse(JSON.stringify(intent)))).toBe(true);
    expect(isPatroniIntent({ verb: 'switchover' })).toBe(false);
    fake.lead('replica-9');
    expect(workflow.plan(intent, await look(), 'run').steps.map(({ kind }) => kind)).toEqual(['await-member']);
  });

  it('stops where Patroni has lost its configuration store', async () => {
    const { cluster, ports, fake } = place();
    const workflow = patroniWorkflow(cluster, 'reseed', ports);
    const intent = decideReseedByPatroni(cluster, 'replica-9', await workflow.observe({} as never, {} as never, context));
    fake.storeIsAway = true;
    const facts = await workflow.observe(intent, {} as never, context);
    expect(() => workflow.plan(intent, facts, 'run')).toThrow(/configuration store/);
  });
});
