import type { PatroniMember, PatroniView } from '../../src/domain/patroni/view.ts';
import type { Lsn } from '../../src/domain/postgres/lsn.ts';
import type { TimelineId } from '../../src/domain/postgres/timeline.ts';
import { SpokeError } from '../../src/errors.ts';
import type { PatroniControl, PatroniReader } from '../../src/ports/patroni.ts';

interface FakeMember {
  readonly name: string;
  readonly port: number;
  state: string;
  startedAt: number;
  pendingRestart: boolean;
  lagBytes: bigint;
  streams: boolean;
}

/** A cluster that Patroni manages: whoever is asked to lead does, and whoever is made anew streams at once. */
export class FakePatroni {
  readonly scope: string;
  readonly members: readonly FakeMember[];
  leader: string | undefined;
  paused = false;
  timeline = 1;
  storeIsAway = false;
  /** It stops waiting before the new leader has the lock, and somebody calls `lead` later. */
  isSlow = false;
  history: PatroniView['history'] = [];
  #starts = 0;

  constructor(scope: string, names: readonly string[]) {
    this.scope = scope;
    this.members = names.map((name, index) => {
      return {
        name,
        port: 5432 + index,
        state: 'running',
        startedAt: (this.#starts += 1),
        pendingRestart: false,
        lagBytes: 0n,
        streams: true,
      };
    });
    this.leader = names[0];
  }

  member(name: string): FakeMember {
    const found = this.members.find((member) => member.name === name);
    if (found !== undefined) return found;
    throw new SpokeError('PATRONI_FAILED', `Patroni has no member "${name}"`);
  }

  view(): PatroniView {
    const { scope, paused, history } = this;
    const own = { url: 'http://patroni', version: '3.0.2', scope };
    if (this.storeIsAway) return { ...own, paused, storeFault: 'no answer', members: [], history: [] };
    return { ...own, paused, history, members: this.members.map((member) => this.#shown(member)) };
  }

  #shown({ name, port, state, pendingRestart, lagBytes }: FakeMember): PatroniMember {
    const place = { name, state, host: '127.0.0.1', port, apiUrl: `http://${name}`, timeline: this.timeline as TimelineId, pendingRestart };
    return name === this.leader ? { ...place, role: 'leader' } : { ...place, role: 'replica', lagBytes };
  }

  lead(candidate: string): void {
    this.history = [
      ...this.history,
      { timeline: this.timeline as TimelineId, lsn: 0x3000000n as Lsn, reason: 'no recovery target specified' },
    ];
    this.leader = candidate;
    this.timeline += 1;
  }

  /** As somebody has asked for. */
  change(candidate: string): void {
    if (this.isSlow) throw new SpokeError('PATRONI_FAILED', 'Switchover status unknown', { details: { isUnderWay: true } });
    this.lead(candidate);
  }

  makeAnew(name: string): void {
    Object.assign(this.member(name), { startedAt: (this.#starts += 1), state: 'running', lagBytes: 0n });
  }
}

/** How it is asked. */
export interface FakeAccess {
  readonly scope: string;
  readonly mayChange: boolean;
  readonly isThere: boolean;
}

/** `change`: around whatever changes something. */
export function fakePatroniPorts(
  patroni: FakePatroni,
  access: FakeAccess = { scope: patroni.scope, mayChange: true, isThere: true },
  change: (what: string, act: () => void) => Promise<void> = async (_what, act) => act(),
): PatroniReader & PatroniControl {
  const look = () => {
    if (!access.isThere) throw new SpokeError('PATRONI_UNAVAILABLE', 'Patroni does not answer');
    if (access.scope !== patroni.scope) throw new SpokeError('REFUSED_WRONG_CLUSTER', `it manages "${patroni.scope}"`);
    return patroni.view();
  };
  const changing = async (what: string, act: () => void) => {
    look();
    if (!access.mayChange) throw new SpokeError('PATRONI_DENIED', 'no auth header received');
    if (patroni.storeIsAway) throw new SpokeError('PATRONI_UNAVAILABLE', 'no configuration store');
    await change(what, act);
  };
  return {
    observe: async () => look(),
    async observeMember(name) {
      look();
      const { state, startedAt } = patroni.member(name);
      const standbys = patroni.members.filter((member) => member.name !== patroni.leader && member.state === 'running' && member.streams);
      return {
        name,
        state,
        paused: patroni.paused,
        timeline: patroni.timeline as TimelineId,
        startedAt: `start ${startedAt}`,
        lsn: 0x5000000n as Lsn,
        streamedBy: name === patroni.leader ? standbys.map((standby) => standby.name) : [],
      };
    },
    async readConfiguration() {
      look();
      return { ttl: 30, ...(patroni.paused ? { pause: true } : {}) };
    },
    switchover: ({ leader, candidate }) =>
      changing(`hand over to ${candidate}`, () => {
        if (leader !== patroni.leader) throw new SpokeError('PATRONI_FAILED', 'leader name does not match');
        patroni.change(patroni.member(candidate).name);
      }),
    failover: (candidate) => changing(`fail over to ${candidate}`, () => patroni.change(patroni.member(candidate).name)),
    reinitialize: (name) =>
      changing(`reinitialize ${name}`, () => {
        if (name === patroni.leader) throw new SpokeError('PATRONI_FAILED', 'I am the leader, can not reinitialize');
        patroni.makeAnew(name);
      }),
    restart: (name) => changing(`restart ${name}`, () => patroni.makeAnew(name)),
    setPaused: (paused) => changing(paused ? 'pause Patroni' : 'resume Patroni', () => void (patroni.paused = paused)),
  };
}
