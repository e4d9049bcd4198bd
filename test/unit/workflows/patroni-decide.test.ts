import { describe, expect, it } from 'vitest';
import type { ClusterConfig } from '../../../src/config/model.ts';
import type { PatroniMember, PatroniMemberState, PatroniSighting, PatroniView } from '../../../src/domain/patroni/view.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import { SpokeError } from '../../../src/errors.ts';
import { decideFailoverByPatroni, decideReseedByPatroni, decideSwitchoverByPatroni } from '../../../src/workflows/patroni/decide.ts';
import type { BouncerToChange } from '../../../src/workflows/change-primary/facts.ts';
import type { PatroniFacts } from '../../../src/workflows/patroni/facts.ts';
import { planByPatroni } from '../../../src/workflows/patroni/plan.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { patroniMember } from '../domain/patroni/members.ts';
import { files, MIB, OTHERS, OURS, primary, standby } from '../domain/topology/facts.ts';
import { FRONT } from './switchover-world.ts';

const RUN = 'run';
const cluster: ClusterConfig = { ...buildCluster().cluster, patroni: { urls: ['http://a'], scope: 'main' } };

const member = (name: string, more: Partial<PatroniMember> = {}) => patroniMember(name, { state: 'running', ...more });
const LEADER = member('a', { role: 'leader' });
const state = (name: string, more: Partial<PatroniMemberState> = {}): PatroniMemberState => ({
  name,
  state: 'running',
  paused: false,
  startedAt: `start of ${name}`,
  streamedBy: [],
  ...more,
});

const BOUNCER: BouncerToChange = { ...FRONT, wanted: { without: 'b', with: 'b and a' } };
const AT = { received: 10n * MIB, replayed: 10n * MIB, of: 'a' };
const NODES = [primary('a', 10n * MIB), standby('b', AT), standby('c', AT)];

function facts(
  more: {
    readonly nodes?: readonly NodeFacts[];
    readonly view?: Partial<PatroniView>;
    readonly sighting?: PatroniSighting;
    readonly states?: readonly PatroniMemberState[];
  } = {},
): PatroniFacts {
  const members = [LEADER, member('b'), member('c')];
  const view = { url: 'http://a', version: '3.0.2', scope: 'main', paused: false, members, history: [], ...more.view };
  const states = more.states ?? [state('a', { streamedBy: ['b', 'c'] }), state('b'), state('c')];
  return {
    topology: topologyOf(more.nodes ?? NODES, OURS),
    sighting: more.sighting ?? { scope: 'main', view },
    states: new Map(states.map((one) => [one.name, one])),
    front: { bouncers: [] },
  };
}

/** The code and the words of a refusal. */
function refusal(decide: () => unknown): string {
  try {
    return `accepted: ${JSON.stringify(decide())}`;
  } catch (thrown) {
    return thrown instanceof SpokeError ? `${thrown.code} ${thrown.message}` : String(thrown);
  }
}

const to = (node: string) => ({ to: node, thenBackup: true, run: RUN });

describe('a switchover by Patroni', () => {
  it('names leader and candidate as Patroni does, whatever the nodes are called', () => {
    const members = [{ ...LEADER, name: 'pg-a', host: 'a' }, member('pg-b', { host: 'b' })];
    const given = facts({ view: { members }, states: [state('pg-a', { streamedBy: ['pg-b'] }), state('pg-b')] });
    expect(decideSwitchoverByPatroni(cluster, to('b'), given)).toMatchObject({
      from: 'pg-a',
      fromStartedAt: 'start of pg-a',
      to: 'pg-b',
      node: 'b',
      timeline: 1,
    });
  });

  it.each<[string, string, PatroniFacts, RegExp]>([
    ['to whom nobody knows', 'd', facts(), /^USAGE .*no node "d"/],
    ['to the leader', 'a', facts(), /^REFUSED_PRECONDITION a is the leader/],
    [
      'to a node of another cluster',
      'c',
      facts({ nodes: [NODES[0]!, NODES[1]!, { ...NODES[2]!, server: { ...NODES[2]!.server!, systemIdentifier: OTHERS } }] }),
      /^REFUSED_WRONG_CLUSTER/,
    ],
    ['to a node that is no member', 'c', facts({ view: { members: [LEADER, member('b')] } }), /^REFUSED_PRECONDITION c is no member/],
    [
      'to a member that does not run',
      'b',
      facts({ view: { members: [LEADER, member('b', { state: 'stopped' })] } }),
      /^REFUSED_PRECONDITION b does not run/,
    ],
    [
      'to a member that is far behind',
      'b',
      facts({ view: { members: [LEADER, member('b', { lagBytes: 17n * MIB })] } }),
      /^REFUSED_PRECONDITION b is 17 MiB behind/,
    ],
    [
      'to a member that does not stream, whatever Patroni would do',
      'b',
      facts({ states: [state('a', { streamedBy: ['c'] })] }),
      /^REFUSED_PRECONDITION b does not stream from a/,
    ],
    ['where the leader does not say who streams from it', 'b', facts({ states: [state('b')] }), /^PATRONI_UNAVAILABLE the Patroni of a/],
    ['where nobody leads', 'b', facts({ view: { members: [member('a'), member('b')] } }), /^REFUSED_PRECONDITION Patroni has no leader/],
    [
      'where another accepts writes than Patroni thinks',
      'c',
      facts({ view: { members: [member('a'), { ...LEADER, name: 'b', host: 'b' }, member('c')] } }),
      /^REFUSED_PRECONDITION a accepts writes/,
    ],
    ['where Patroni is away', 'b', facts({ sighting: { scope: 'main', fault: 'refused' } }), /^PATRONI_UNAVAILABLE .*refused/],
    [
      'where its configuration store is',
      'b',
      facts({ view: { storeFault: 'hang up', members: [] } }),
      /^PATRONI_UNAVAILABLE .*configuration store/,
    ],
  ])('is refused %s', (_why, node, given, expected) => {
    expect(refusal(() => decideSwitchoverByPatroni(cluster, to(node), given))).toMatch(expected);
  });

  it('is asked for once: when the candidate leads only the old leader is waited for', () => {
    const intent = decideSwitchoverByPatroni(cluster, to('b'), facts());
    expect(planByPatroni(intent, facts()).steps.map(({ id }) => id)).toEqual(['switch-leader', 'await-member a']);
    const members = [member('a'), { ...LEADER, name: 'b', host: 'b', timeline: 2 as never }, member('c')];
    expect(planByPatroni(intent, facts({ view: { members } })).steps.map(({ id }) => id)).toEqual(['await-member a']);
  });

  it('is not asked for a second time where another one leads, or the leader was replaced and has come back', () => {
    const intent = decideSwitchoverByPatroni(cluster, to('b'), facts());
    const planned = (leader: PatroniMember) => refusal(() => planByPatroni(intent, facts({ view: { members: [leader, member('b')] } })));
    expect(planned({ ...LEADER, name: 'c', host: 'c' })).toMatch(/^PLAN_STALE c leads now, not a/);
    expect(planned({ ...LEADER, timeline: 3 as never })).toMatch(/^PLAN_STALE a leads on timeline 3 now, not 1/);
  });

  it('has clients wait while Patroni is asked, and go on with the new leader before the old one is back', () => {
    const intent = decideSwitchoverByPatroni(cluster, to('b'), facts());
    const given = { ...facts(), front: { bouncers: [BOUNCER] } };
    expect(planByPatroni(intent, given).steps.map(({ id }) => id)).toEqual([
      'checkpoint',
      'pause-pgbouncer front',
      'switch-leader',
      'repoint-pgbouncer front',
      'resume-pgbouncer front',
      'await-member a',
      'repoint-pgbouncer front and all standbys',
    ]);
    const silent = { ...given, front: { bouncers: [{ ...BOUNCER, unreachable: 'refused' }] } };
    expect(refusal(() => planByPatroni(intent, silent))).toMatch(/^REFUSED_PRECONDITION PgBouncer front does not answer/);
  });

  it('says that a paused Patroni stays so', () => {
    expect(decideSwitchoverByPatroni(cluster, to('b'), facts({ view: { paused: true } })).warnings).toHaveLength(1);
  });
});

describe('a failover by Patroni', () => {
  const DEAD: NodeFacts = { node: 'a', address: { host: 'a', port: 5432 }, unreachable: 'refused', files: files() };
  const without = (more: Partial<PatroniView> = {}) =>
    facts({ nodes: [DEAD, NODES[1]!, NODES[2]!], view: { members: [member('b'), member('c')], ...more } });

  it('is refused while the leader accepts writes', () => {
    expect(refusal(() => decideFailoverByPatroni(cluster, { thenBackup: true, run: RUN }, facts()))).toMatch(
      /^REFUSED_PRECONDITION a leads and accepts/,
    );
  });

  it('goes to whoever has most, or was asked for', () => {
    const behind = standby('b', { ...AT, received: 9n * MIB, replayed: 9n * MIB });
    const given = { ...without(), topology: topologyOf([DEAD, behind, NODES[2]!], OURS) };
    expect(decideFailoverByPatroni(cluster, { thenBackup: true, run: RUN }, given)).toMatchObject({ from: null, to: 'c', node: 'c' });
    expect(decideFailoverByPatroni(cluster, { to: 'b', thenBackup: true, run: RUN }, given)).toMatchObject({ to: 'b' });
  });

  it('has its say also where the lock of the dead leader has not run out yet', () => {
    const given = without({ members: [LEADER, member('b'), member('c')] });
    expect(decideFailoverByPatroni(cluster, { thenBackup: true, run: RUN }, given)).toMatchObject({ from: 'a', to: 'b' });
    expect(refusal(() => decideFailoverByPatroni(cluster, { to: 'a', thenBackup: true, run: RUN }, given))).toMatch(
      /^REFUSED_PRECONDITION nobody can/,
    );
  });

  it('waits for nobody to come back', () => {
    const intent = decideFailoverByPatroni(cluster, { thenBackup: true, run: RUN }, without());
    expect(planByPatroni(intent, without()).steps.map(({ id }) => id)).toEqual(['switch-leader']);
  });
});

describe('a reseed by Patroni', () => {
  it('is never one of the leader, nor of whoever accepts writes', () => {
    expect(refusal(() => decideReseedByPatroni(cluster, 'a', facts()))).toMatch(/^REFUSED_PRECONDITION a is the leader/);
    const members = [member('a'), { ...LEADER, name: 'b', host: 'b' }, member('c')];
    expect(refusal(() => decideReseedByPatroni(cluster, 'a', facts({ view: { members } })))).toMatch(
      /^REFUSED_PRECONDITION a accepts writes/,
    );
  });

  it('needs the Patroni of that member, which is the one to ask', () => {
    expect(refusal(() => decideReseedByPatroni(cluster, 'b', facts({ states: [state('a')] })))).toMatch(/^PATRONI_UNAVAILABLE/);
  });

  it('is asked for once: by the start of the server one sees that it is another one', () => {
    const intent = decideReseedByPatroni(cluster, 'b', facts());
    expect(intent).toMatchObject({ member: 'b', leader: 'a', startedAt: 'start of b' });
    const steps = (b: Partial<PatroniMemberState>) =>
      planByPatroni(intent, facts({ states: [state('a'), state('b', b)] })).steps.map(({ kind }) => kind);
    expect(steps({})).toEqual(['reinitialize-member', 'await-member']);
    expect(steps({ startedAt: 'later' })).toEqual(['await-member']);
    expect(steps({ state: 'creating replica' })).toEqual(['await-member']);
    // What was stopped and not yet thrown away is not another one.
    expect(steps({ state: 'stopped', startedAt: 'later' })).toEqual(['reinitialize-member', 'await-member']);
  });
});
