import { describe, expect, it } from 'vitest';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import { asSpokeError } from '../../../src/errors.ts';
import type { Step } from '../../../src/plan/step.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import type { JournalEntry, StoredRun } from '../../../src/ports/run-store.ts';
import type { ChangePrimaryFacts } from '../../../src/workflows/change-primary/facts.ts';
import type { NodeObservation } from '../../../src/workflows/observe-cluster.ts';
import { planReseed } from '../../../src/workflows/reseed/plan.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import type { Proof, RestoreFacts } from '../../../src/workflows/restore/facts.ts';
import type { RestoreIntent } from '../../../src/workflows/restore/intent.ts';
import { withStandbys } from '../../../src/workflows/restore-cluster/decide.ts';
import type { RestoreClusterFacts } from '../../../src/workflows/restore-cluster/facts.ts';
import { laterStages, planRestoreCluster } from '../../../src/workflows/restore-cluster/plan.ts';
import {
  PRIMARY_IS_BACK,
  runOfStandby,
  STANDBY_DECIDED,
  STANDBY_IS_BACK,
  stagesOf,
} from '../../../src/workflows/restore-cluster/stages.ts';
import { NODE } from '../../fakes/cluster.ts';
import { files, MIB, OTHERS, OURS, primary, standby } from '../domain/topology/facts.ts';
import { directory, intentFor, untouched } from './reseed-intent.ts';
import { sound } from './restore-world.ts';

const RUN = 'run';
const WISH = { onlyNode: false, thenBackup: true };
const OWNER = { uid: 101, gid: 101, name: 'postgres' };

async function ofNode(changes: Partial<RestoreIntent> = {}): Promise<RestoreIntent> {
  const { request, observed } = await sound({ destination: { kind: 'in-place', node: NODE }, target: { kind: 'immediate' } });
  return { ...decideRestore(request, observed), ...changes };
}

/** The node that is restored, and what else there is; each of them on a data directory of its own. */
function seen(...others: readonly NodeFacts[]) {
  const facts = [primary(NODE, 100n * MIB), ...others];
  const nodes = facts.map(({ node }): NodeObservation => {
    const path = `/data/${node}`;
    const control = { systemIdentifier: OURS, timeline: timelineIdOf(1) } as unknown as NonNullable<DirectoryFacts['control']>;
    return {
      node: { name: node, dataDirectory: path, port: 5432, service: { manager: 'pg_ctl' } },
      directory: directory(path, { identity: `1:${node}`, control, postgresMajor: 17, owner: OWNER }),
    };
  });
  return { nodes, topology: topologyOf(facts, OURS) };
}

const following = (node: string) => standby(node, { received: MIB, replayed: MIB, of: NODE });

describe('which standbys go along with a restore in place', () => {
  it('are those that run and those that are stopped, recognised by their directories', async () => {
    const stopped: NodeFacts = { node: 'c', files: files({ hasStandbySignal: true, state: 'shut down in recovery' }) };
    const intent = withStandbys(await ofNode(), {}, WISH, seen(following('b'), stopped));
    expect(intent.standbys?.map(({ server }) => [server.node, server.identity])).toEqual([
      ['b', '1:b'],
      ['c', '1:c'],
    ]);
    expect(intent.thenBackup).toBe(true);
    expect(intent.warnings.join('\n')).toContain('b and c go along');
  });

  it('are none of another cluster, and none that nobody can look at: that is said', async () => {
    const stranger: NodeFacts = { node: 'c', files: files({ systemIdentifier: OTHERS, hasStandbySignal: true }) };
    const away: NodeFacts = { node: 'd', unreachable: 'no route to host' };
    const intent = withStandbys(await ofNode(), {}, WISH, seen(following('b'), stranger, away));
    expect(intent.standbys?.map(({ server }) => server.node)).toEqual(['b']);
    expect(intent.warnings.join('\n')).toContain('spoke-backup reseed d');
  });

  it.each<[string, Partial<RestoreIntent>, Partial<typeof WISH>]>([
    ['where the restore goes to a directory of its own', { inPlaceNode: null }, {}],
    ['where it stays paused', { targetAction: 'pause' }, {}],
    ['where it is not started', { start: false }, {}],
    ['where only the node was asked for', {}, { onlyNode: true }],
  ])('are none %s', async (_where, changes, wish) => {
    const intent = await ofNode(changes);
    expect(withStandbys(intent, {}, { ...WISH, ...wish }, seen(following('b')))).toBe(intent);
  });

  it('are none of a node that is no primary, while another one is: there would be two', async () => {
    const other = primary('b', 100n * MIB);
    try {
      withStandbys(await ofNode(), {}, { ...WISH, onlyNode: true }, seen(other));
    } catch (thrown) {
      expect(asSpokeError(thrown)).toMatchObject({ code: 'REFUSED_PRECONDITION', hint: expect.stringContaining('--in-place b') });
      return;
    }
    throw new Error('it was not refused');
  });
});

/** What the steps from the proof on do to the world. */
class Model {
  paused = false;
  front = 'with standbys';
  running = new Set([NODE, 'b', 'c']);
  isSwapped = false;
  isReleased = false;
  readonly #intent: RestoreIntent;

  constructor(intent: RestoreIntent) {
    this.#intent = intent;
  }

  do(step: Step): void {
    switch (step.kind) {
      case 'pause-pgbouncer':
      case 'resume-pgbouncer':
        this.paused = step.kind === 'pause-pgbouncer';
        break;
      case 'stop-standby':
        expect(this.running.has(NODE)).toBe(true);
        this.running.delete(step.standby.node);
        break;
      case 'stop-server':
        expect([...this.running]).toEqual([NODE]);
        this.running.delete(NODE);
        break;
      case 'swap-data-directory':
        expect(this.running.size).toBe(0);
        this.isSwapped = true;
        break;
      case 'start-restored':
        this.running.add(NODE);
        break;
      case 'repoint-pgbouncer':
        this.front = step.configuration;
        break;
      case 'release-restore-area':
        this.isReleased = true;
        break;
      default:
    }
  }

  facts(): RestoreClusterFacts {
    return {
      restore: this.#restore(),
      stages: stagesOf({ entries: [] }),
      front: this.#front(),
      standbys: new Map(['b', 'c'].map((node) => [node, this.#standby(node)])),
      seeding: [],
    };
  }

  #standby(node: string): DirectoryFacts {
    return directory(`/data/${node}`, {
      identity: `1:${node}`,
      ...(this.running.has(node) ? { running: { evidence: 'postmaster.pid' } } : {}),
    });
  }

  #front(): ChangePrimaryFacts {
    const databases = ['app', 'reads'];
    return {
      topology: { ...topologyOf([primary(NODE, MIB)], OURS) },
      limitMs: 1,
      follow: new Map(),
      following: new Set(),
      passfiles: new Map(),
      bouncers: [
        {
          name: 'front',
          configFile: '/etc/pgbouncer.ini',
          pauseTimeoutMs: 1,
          databases,
          paused: this.paused ? databases : [],
          present: this.front,
          wanted: { without: 'primary alone', with: 'primary alone' },
          warnings: [],
        },
      ],
    };
  }

  #restore(): RestoreFacts {
    const { area, candidates, dataDirectory, destinationIdentity } = this.#intent;
    const [first] = candidates;
    if (first === undefined) throw new Error('an intent without a backup');
    const backup = { repository: first.repository, label: first.label };
    const proof: Proof = {
      ...{ reached: { time: null, lsn: '0/5000000', xid: null, timeline: 1 }, evidence: 'recovery stopping', backup },
      ...{ dataIdentity: '8:77', provenAt: '2026-11-22T21:00:00.000000Z', walSegments: 3 },
    };
    const control = { state: 'shut down' } as unknown as NonNullable<DirectoryFacts['control']>;
    const running = this.running.has(NODE) ? { running: { evidence: 'postmaster.pid' } as const } : {};
    const identity = this.isSwapped ? '8:77' : (destinationIdentity ?? '');
    return {
      ...{ settled: true, outdated: [], salvageable: [], salvaged: [], staged: [], walClosed: true, failed: [] },
      ...(this.isReleased ? {} : { reservedFor: backup, proof }),
      journalledProof: proof,
      areaExists: !this.isReleased,
      data: this.isSwapped
        ? directory(area.dataDirectory, { kind: 'absent' })
        : directory(area.dataDirectory, { identity: '8:77', control, hasStandbySignal: false }),
      destination: directory(dataDirectory, { identity, ...running }),
    };
  }
}

const ids = (steps: readonly Step[]) => steps.map(({ id }) => id);

async function ofCluster(): Promise<RestoreIntent> {
  return withStandbys(await ofNode(), {}, WISH, seen(following('b'), following('c')));
}

describe('the plan of a restore of a cluster', () => {
  it('holds clients, stops the standbys, then the primary; and lets clients go on with the primary alone', async () => {
    const intent = await ofCluster();
    expect(ids(planRestoreCluster(intent, new Model(intent).facts(), RUN).steps)).toEqual([
      'pause-pgbouncer front',
      'stop-standby b',
      'stop-standby c',
      'stop-server',
      'swap-data-directory',
      'start-restored',
      'confirm-restored',
      'repoint-pgbouncer front',
      'resume-pgbouncer front',
      'release-restore-area',
    ]);
  });

  it('goes on, after every step, with the rest of the same plan', async () => {
    const intent = await ofCluster();
    const model = new Model(intent);
    const all = planRestoreCluster(intent, model.facts(), RUN).steps;
    for (const [index, step] of all.entries()) {
      const rest = ids(planRestoreCluster(intent, model.facts(), RUN).steps);
      // What only looks is looked at again, and a checkpoint can be had twice.
      const changes = (id: string) => id !== 'confirm-restored';
      expect(rest.filter(changes)).toEqual(ids(all.slice(index)).filter(changes));
      model.do(step);
    }
  });

  it('then seeds a standby as a reseed of its own would, by names that tell them apart', async () => {
    const intent = await ofCluster();
    const reseed = intentFor('rewind');
    const facts = { ...new Model(intent).facts(), stages: { primaryIsBack: true, decided: [], back: [] } };
    const seeding = [{ intent: reseed, progress: untouched() }];
    const planned = planRestoreCluster(intent, { ...facts, seeding }, RUN);
    expect(ids(planned.steps)).toEqual(ids(planReseed(reseed, untouched(), RUN).steps).map((id) => `${id} replica-2`));
  });

  it('says of each standby and of the backup that they come afterwards', async () => {
    const intent = await ofCluster();
    expect(laterStages(intent).map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(['Seed b', 'Seed c', `Have ${NODE}`]);
    expect(laterStages({ ...intent, thenBackup: false })).toHaveLength(2);
  });
});

describe('the journal of a restore of a cluster', () => {
  const at = 0n as JournalEntry['at'];
  const note = (message: string, detail: unknown): JournalEntry => ({ at, kind: 'note', message, detail });

  it('tells which stage it is in', () => {
    const entries = [
      note(PRIMARY_IS_BACK, {}),
      note(STANDBY_DECIDED, { node: 'b', reseed: null }),
      note(STANDBY_IS_BACK, { node: 'b' }),
      note(STANDBY_DECIDED, { node: 'c', reseed: intentFor('delta') }),
    ];
    expect(stagesOf({ entries: [] })).toEqual({ primaryIsBack: false, decided: [], back: [] });
    const { primaryIsBack, decided, back } = stagesOf({ entries });
    expect({ primaryIsBack, decided: decided.map(({ node }) => node), back }).toEqual({
      primaryIsBack: true,
      decided: ['b', 'c'],
      back: ['b'],
    });
  });

  it('shows each standby its own steps, by their own names', () => {
    const started = (step: string): JournalEntry => ({ at, kind: 'step-started', step, detail: {} });
    const entries = [started('stop-server'), started('await-streaming b'), started('await-streaming a-b'), note('x', {})];
    const run = { header: {}, entries } as unknown as StoredRun;
    expect(runOfStandby('b', run).entries).toEqual([started('await-streaming'), note('x', {})]);
  });
});
