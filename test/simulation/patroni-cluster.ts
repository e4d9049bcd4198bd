import type { ClusterConfig } from '../../src/config/model.ts';
import type { PatroniMemberState, PatroniView } from '../../src/domain/patroni/view.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { slotOf } from '../../src/domain/topology/slot-name.ts';
import { SpokeError } from '../../src/errors.ts';
import type { ReadPorts, WritePorts } from '../../src/ports/bundle.ts';
import type { PatroniControl, PatroniReader } from '../../src/ports/patroni.ts';
import type { FakeProcess } from '../fakes/process.ts';
import { ChangeCluster } from './change-cluster.ts';
import type { Node } from './change-nodes.ts';

/** What Patroni makes of a switchover that it is asked for. */
export type Temper =
  | 'at once'
  /** It stops waiting, says so, and does it some seconds later. */
  | 'later'
  /** It takes another member, and says so. */
  | 'elsewhere'
  | 'refuses';

/** Polls of a process that waits: much less than the seconds after which nothing is expected any more. */
const LATER_SLEEPS = 4;
const HOST = '127.0.0.1';

/** The cluster of the other changes of the primary, with a Patroni that looks after it. */
export class PatroniManaged {
  readonly cluster: ChangeCluster;
  readonly config: ClusterConfig;
  temper: Temper = 'at once';
  leader: string;
  /** Of every switchover that it was asked for and did not refuse. */
  readonly asked: { readonly candidate: string; readonly timeline: number }[] = [];
  #pending: { readonly candidate: string; sleeps: number } | undefined;
  readonly #starts = new Map<string, number>();

  constructor(names: readonly string[]) {
    this.cluster = new ChangeCluster(names);
    this.config = { ...this.cluster.config, patroni: { urls: ['http://patroni'], scope: 'main' } };
    this.leader = names[0] ?? '';
  }

  get #nodes(): readonly Node[] {
    return this.cluster.nodes.nodes;
  }

  /** The old leader is stopped cleanly, the new one promoted, and everybody follows it. */
  handOver(candidate: string): void {
    this.#pending = undefined;
    if (candidate === this.leader) return;
    const [old, next] = [this.cluster.nodes.named(this.leader), this.cluster.nodes.named(candidate)];
    this.cluster.nodes.flow();
    old.stop('fast');
    next.promote();
    this.leader = candidate;
    this.cluster.world.fs.writeFile(old.signalFile, '');
    for (const node of this.#nodes.filter(({ name }) => name !== candidate)) {
      next.slots.add(slotOf(node.name));
      node.settings = { primary_conninfo: `host=${HOST} port=${next.port}` };
    }
    old.start();
    this.#starts.set(old.name, (this.#starts.get(old.name) ?? 0) + 1);
    this.cluster.nodes.flow();
  }

  /** What it still has to do it does now. */
  settle(): void {
    if (this.#pending !== undefined) this.handOver(this.#pending.candidate);
  }

  #passTime(): void {
    this.cluster.nodes.flow();
    if (this.#pending === undefined) return;
    this.#pending.sleeps -= 1;
    if (this.#pending.sleeps <= 0) this.settle();
  }

  ports(process: FakeProcess): ReadPorts & WritePorts {
    const base = this.cluster.ports(process);
    const patroni = { ...this.#reader(process), ...this.#control(process) };
    const sleep = (ms: number, signal: AbortSignal) => base.clock.sleep(ms, signal).then(() => this.#passTime());
    return { ...base, clock: { ...base.clock, sleep }, patroni, patroniControl: patroni };
  }

  #reader(process: FakeProcess): PatroniReader {
    return {
      observe: () => process.read(() => this.#view()),
      observeMember: (name) => process.read(() => this.#state(this.cluster.nodes.named(name))),
      readConfiguration: () => process.read(() => ({})),
    };
  }

  #control(process: FakeProcess): PatroniControl {
    const notHere = () => Promise.reject(new Error('nobody asks for that here'));
    return {
      switchover: (change) => process.change('ask for a switchover', () => this.#switchover(change)),
      failover: notHere,
      reinitialize: notHere,
      restart: notHere,
      setPaused: notHere,
    };
  }

  #switchover({ leader, candidate }: { readonly leader: string; readonly candidate: string }): void {
    if (leader !== this.leader) throw new SpokeError('PATRONI_FAILED', 'leader name does not match');
    if (this.temper === 'refuses') throw new SpokeError('PATRONI_FAILED', 'failover is not possible: no good candidates have been found');
    this.asked.push({ candidate, timeline: this.cluster.nodes.named(leader).timeline });
    if (this.temper === 'later') {
      this.#pending = { candidate, sleeps: LATER_SLEEPS };
      throw new SpokeError('PATRONI_FAILED', 'Switchover status unknown', { details: { isUnderWay: true } });
    }
    const other = this.#nodes.find(({ name }) => name !== leader && name !== candidate)?.name;
    if (this.temper === 'at once' || other === undefined) return this.handOver(candidate);
    this.handOver(other);
    throw new SpokeError('PATRONI_FAILED', `Switched over to "${other}" instead of "${candidate}"`);
  }

  #view(): PatroniView {
    const members = this.#nodes.map(({ name, port, timeline }) => {
      const own = {
        name,
        state: 'running',
        host: HOST,
        port,
        apiUrl: `http://${name}`,
        timeline: timelineIdOf(timeline),
        pendingRestart: false,
      };
      return name === this.leader ? { ...own, role: 'leader' as const } : { ...own, role: 'replica' as const, lagBytes: 0n };
    });
    return { url: 'http://patroni', version: '3.0.2', scope: 'main', paused: false, members, history: [] };
  }

  #state(node: Node): PatroniMemberState {
    return {
      name: node.name,
      state: 'running',
      paused: false,
      timeline: timelineIdOf(node.timeline),
      startedAt: `start ${this.#starts.get(node.name) ?? 0}`,
      lsn: node.lsn,
      streamedBy: this.#nodes.filter((one) => one.upstream() === node).map(({ name }) => name),
    };
  }
}
