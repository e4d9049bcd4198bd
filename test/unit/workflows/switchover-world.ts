import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { slotOf } from '../../../src/domain/topology/slot-name.ts';
import type { ReplicationSlot } from '../../../src/domain/topology/replication-facts.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import type { HeldServer } from '../../../src/plan/change-primary-steps.ts';
import type { Step } from '../../../src/plan/step.ts';
import type { BouncerToChange, ChangePrimaryFacts } from '../../../src/workflows/change-primary/facts.ts';
import type { SwitchoverIntent } from '../../../src/workflows/change-primary/intent.ts';
import { files, MIB, OURS, primary, replication, standby } from '../domain/topology/facts.ts';

export const HELD: HeldServer = {
  node: 'a',
  dataDirectory: '/data/a',
  identity: '1:2',
  systemIdentifier: String(OURS),
  postgresMajor: 17,
  service: { manager: 'pg_ctl' },
  port: 5432,
  socketDirectory: '/tmp',
};

/** A PgBouncer in front, whose file leads to a; all databases of it follow the primary. */
export const FRONT: BouncerToChange = {
  name: 'front',
  configFile: '/etc/pgbouncer.ini',
  pauseTimeoutMs: 1000,
  databases: ['app'],
  paused: [],
  warnings: [],
  present: 'a',
  wanted: { without: 'b', with: 'b' },
};

export const INTENT: SwitchoverIntent = {
  verb: 'switchover',
  run: 'run',
  thenBackup: false,
  cluster: 'main',
  systemIdentifier: String(OURS),
  timeline: 1,
  to: 'b',
  from: HELD,
};

export interface ClusterShape {
  /** Standbys beside the candidate. */
  readonly others: readonly string[];
  readonly hasBouncer: boolean;
  readonly hasEndpoints: boolean;
  readonly lacksPassfile: boolean;
}

/** A cluster of whom a is the primary, as PostgreSQL's documentation says that it behaves: each step does what its title says. */
export class ClusterModel {
  old: 'primary' | 'stopped' | 'standby' = 'primary';
  candidate: 'standby' | 'primary' = 'standby';
  bouncer = 'before';
  endpoints = 'before';
  paused = false;
  readonly #shape: ClusterShape;
  readonly #following = new Set<string>();
  readonly #slotsOfB = new Set<string>();
  #hasCheckpointOfB = false;
  #slotsOfA: readonly string[];
  #hasPassfile: boolean;

  constructor(shape: ClusterShape) {
    this.#shape = shape;
    this.#hasPassfile = !shape.lacksPassfile;
    this.#slotsOfA = ['b', ...shape.others].map(slotOf);
  }

  do(step: Step): void {
    switch (step.kind) {
      case 'checkpoint':
        if (step.node === 'b') this.#hasCheckpointOfB = true;
        break;
      case 'write-passfile':
        this.#hasPassfile = true;
        break;
      case 'pause-pgbouncer':
      case 'resume-pgbouncer':
        this.paused = step.kind === 'pause-pgbouncer';
        break;
      case 'stop-primary':
        this.old = 'stopped';
        break;
      case 'promote-standby':
        if (this.old === 'primary') throw new Error('two primaries');
        this.candidate = 'primary';
        break;
      case 'ensure-slots':
        for (const slot of step.slots) this.#slotsOfB.add(slot);
        break;
      case 'repoint-pgbouncer':
        this.bouncer = step.configuration;
        break;
      case 'publish-endpoints':
        this.endpoints = step.text;
        break;
      case 'configure-server':
        this.#following.add(step.node);
        break;
      case 'start-standby':
        this.old = 'standby';
        break;
      case 'drop-slots':
        this.#slotsOfA = this.#slotsOfA.filter((slot) => !step.slots.includes(slot));
        break;
      default:
    }
  }

  facts(): ChangePrimaryFacts {
    const { others, hasBouncer, hasEndpoints } = this.#shape;
    const nodes = [this.#a(), this.#b(), ...others.map((name) => this.#other(name))];
    const text = (which: string) => ({ text: which, values: {}, isCurrent: this.endpoints === which });
    const present = { present: this.bouncer, paused: this.paused ? ['app'] : [], wanted: { without: 'without a', with: 'with a' } };
    const passfile = {
      kind: 'write-passfile',
      node: 'a',
      path: '/data/a.pgpass',
      dataDirectory: '/data/a',
      role: 'r',
      servers: [],
    } as const;
    return {
      topology: topologyOf(nodes, OURS),
      limitMs: 60_000,
      follow: new Map(['a', ...others].map((name) => [name, { primary_conninfo: 'host=b' }])),
      following: this.#following,
      bouncers: hasBouncer ? [{ ...FRONT, ...present }] : [],
      ...(hasEndpoints ? { endpoints: { file: '/e', hook: undefined, wanted: { without: text('without a'), with: text('with a') } } } : {}),
      passfiles: new Map(this.#hasPassfile ? [] : [['a', passfile]]),
    };
  }

  #a(): NodeFacts {
    const slots = slotRows(this.#slotsOfA);
    if (this.old === 'stopped') return { node: 'a', unreachable: 'refused', files: files({ hasStandbySignal: true }) };
    const timeline = this.candidate === 'primary' ? 2 : 1;
    if (this.old === 'standby') return standby('a', { received: MIB, replayed: MIB, of: 'b', timeline }, { slots });
    return primary('a', MIB, { replication: replication({ inRecovery: false, slots }) });
  }

  #b(): NodeFacts {
    const slots = slotRows([...this.#slotsOfB]);
    if (this.candidate === 'standby') return standby('b', { received: MIB, replayed: MIB, of: 'a' }, { slots });
    const now = primary('b', MIB, { timeline: timelineIdOf(2), replication: replication({ inRecovery: false, slots }) });
    return { ...now, files: files({ state: 'in production', isRunning: true, timeline: timelineIdOf(this.#hasCheckpointOfB ? 2 : 1) }) };
  }

  #other(name: string): NodeFacts {
    return standby(name, { received: MIB, replayed: MIB, of: this.#following.has(name) ? 'b' : 'a' });
  }
}

function slotRows(names: readonly string[]): readonly ReplicationSlot[] {
  return names.map((name) => ({ name, kind: 'physical', active: false, temporary: false }));
}
