import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Claim } from '../../../../src/domain/concurrency/matrix.ts';
import {
  decideLease,
  type LeaseDocument,
  type LeaseFacts,
  NO_LEASES,
  releaseLease,
  renewLease,
  sight,
  type Sightings,
  type WantedLease,
} from '../../../../src/domain/lease/lease-document.ts';
import { addMicros, type Instant, instantOfMicros } from '../../../../src/domain/time/instant.ts';

const TERM_MS = 30_000;
const SERVER = instantOfMicros(1_795_382_188_000_000n);
const NOBODY: ReadonlySet<string> = new Set();

function claim(verb: Claim['verb'] = 'daemon'): Claim {
  return { verb, cluster: 'main', repositories: ['s3'], host: 'db1' };
}

function wanted(token: string, changes: Partial<WantedLease> = {}): WantedLease {
  const name = changes.claim === undefined ? 'daemon' : `run-${token}`;
  return { token, claim: claim(), holder: { name, pid: 1, host: token, since: SERVER }, termMs: TERM_MS, ...changes };
}

function later(ms: number): Instant {
  return addMicros(SERVER, BigInt(ms) * 1000n);
}

function acquired(request: WantedLease, document: LeaseDocument = NO_LEASES, serverNow?: Instant): LeaseDocument {
  const facts = { document, sightings: new Map(), nowMs: 0, gone: NOBODY, ...(serverNow !== undefined && { serverNow }) };
  const decision = decideLease(request, facts);
  if (decision.kind !== 'acquire') throw new Error(`it is ${decision.kind}`);
  return decision.document;
}

/** One sees `document` at 0 of the own clock, and again at `nowMs`. */
function seenTwice(document: LeaseDocument, nowMs: number, serverNow?: Instant): LeaseFacts {
  const sightings = sight(sight(new Map(), document, 0), document, nowMs);
  return { document, sightings, nowMs, gone: NOBODY, ...(serverNow !== undefined && { serverNow }) };
}

describe('a lease', () => {
  it('that nobody has is had at once, each with a greater epoch', () => {
    const first = acquired(wanted('a'));
    expect(first).toMatchObject({ lastEpoch: 1, leases: [{ token: 'a', epoch: 1 }] });
    const released = releaseLease(first, 'a');
    expect(released).toEqual({ lastEpoch: 1, leases: [] });
    expect(acquired(wanted('b'), released)).toMatchObject({ lastEpoch: 2, leases: [{ token: 'b', epoch: 2 }] });
  });

  it('is had beside others that do not conflict with it', () => {
    const both = acquired(wanted('b', { claim: claim('backup') }), acquired(wanted('a')));
    expect(both.leases.map(({ token }) => token)).toEqual(['a', 'b']);
  });

  it('of another is respected for a whole term of our own clock, though the server says that it has expired', () => {
    const document = acquired(wanted('a'), NO_LEASES, SERVER);
    const decision = decideLease(wanted('b'), seenTwice(document, TERM_MS - 1, later(365 * 86_400_000)));
    expect(decision).toMatchObject({ kind: 'wait', untilMs: TERM_MS, by: { token: 'a' } });
    expect(decideLease(wanted('b'), seenTwice(document, TERM_MS, later(365 * 86_400_000)))).toMatchObject({ kind: 'acquire', epoch: 2 });
  });

  it('of another that the server takes for living is simply held', () => {
    const document = acquired(wanted('a'), NO_LEASES, SERVER);
    expect(decideLease(wanted('b'), seenTwice(document, 0, later(TERM_MS - 1)))).toMatchObject({ kind: 'held', by: { token: 'a' } });
  });

  it('is taken over after a second term where the clock of the server was set back', () => {
    const document = acquired(wanted('a'), NO_LEASES, SERVER);
    const longAgo = later(-365 * 86_400_000);
    expect(decideLease(wanted('b'), seenTwice(document, 2 * TERM_MS - 1, longAgo))).toMatchObject({ kind: 'held' });
    expect(decideLease(wanted('b'), seenTwice(document, 2 * TERM_MS, longAgo))).toMatchObject({ kind: 'acquire' });
  });

  it('that was renewed is watched for a new term', () => {
    const first = acquired(wanted('a'));
    const renewed = renewLease(first, 'a', undefined);
    expect(renewed).toMatchObject({ leases: [{ renewals: 1 }] });
    const sightings = sight(sight(new Map(), first, 0), renewed!, TERM_MS);
    const decision = decideLease(wanted('b'), { document: renewed!, sightings, nowMs: TERM_MS, gone: NOBODY });
    expect(decision).toMatchObject({ kind: 'wait', untilMs: 2 * TERM_MS });
  });

  it('of a process that is known to be gone is taken over at once', () => {
    const document = acquired(wanted('a'), NO_LEASES, SERVER);
    const facts = { ...seenTwice(document, 0, SERVER), gone: new Set(['a']) };
    expect(decideLease(wanted('b'), facts)).toMatchObject({ kind: 'acquire', document: { leases: [{ token: 'b' }] } });
  });

  it('of a dead holder stays where it is in nobody’s way: it may come back', () => {
    const document = acquired(wanted('a', { claim: claim('drill') }));
    const decision = decideLease(wanted('b'), seenTwice(document, 10 * TERM_MS));
    expect(decision).toMatchObject({ kind: 'acquire', document: { leases: [{ token: 'a' }, { token: 'b' }] } });
  });

  it('is held where one of several seems dead and another lives', () => {
    const two = acquired(
      wanted('b', { claim: claim('verify') }),
      acquired(wanted('a', { claim: claim('verify') }), NO_LEASES, later(-TERM_MS)),
      SERVER,
    );
    const expire = wanted('c', { claim: claim('expire') });
    expect(decideLease(expire, seenTwice(two, 1, later(1)))).toMatchObject({ kind: 'held', by: { token: 'b' } });
  });

  it('of a run is had by one process at a time, whatever the run does', () => {
    const run = { name: '20261122T211628Z-drill-aaaa', pid: 1, host: 'db1', since: SERVER };
    const document = acquired(wanted('a', { claim: claim('drill'), holder: run }), NO_LEASES, SERVER);
    const again = wanted('b', { claim: claim('drill'), holder: { ...run, pid: 2 } });
    expect(decideLease(again, seenTwice(document, 0, SERVER))).toMatchObject({ kind: 'held' });
  });

  it('cannot be renewed or released once another has taken it', () => {
    const document = acquired(wanted('b'));
    expect(renewLease(document, 'a', SERVER)).toBeUndefined();
    expect(releaseLease(document, 'a')).toBeUndefined();
  });
});

/** What happens next: time passes, or a host reads (and decides, renews or releases), or writes what it made of that, if it still can. */
type Event =
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'server clock'; readonly ms: number }
  | { readonly kind: 'read' | 'write' | 'release' | 'die'; readonly host: number };

interface Host {
  readonly monotonicOffsetMs: number;
  sightings: Sightings;
  token?: string;
  goodUntilMs: number;
  /** Read and not yet written. */
  pending?: { readonly version: number; readonly document: LeaseDocument; readonly token: string };
  born: number;
}

const host = fc.integer({ min: 0, max: 2 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: TERM_MS }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('server clock' as const), ms: fc.integer({ min: -1e9, max: 1e9 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('read' as const), host }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), host }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'die' as const), host }) },
);

/** Several hosts, each by its own clock, with any pause between reading and writing. */
class Hosts {
  readonly hosts: Host[] = [0, 7e8, -3e5].map((monotonicOffsetMs) => ({
    monotonicOffsetMs,
    sightings: new Map(),
    goodUntilMs: -Infinity,
    born: 0,
  }));
  document: LeaseDocument = NO_LEASES;
  version = 0;
  nowMs = 0;
  serverSkewMs = 0;
  takeOvers = 0;

  apply(what: Event): void {
    if (what.kind === 'time') this.nowMs += what.ms;
    else if (what.kind === 'server clock') this.serverSkewMs = what.ms;
    else if (what.kind === 'read') this.#read(this.hosts[what.host]!, what.host);
    else if (what.kind === 'write') this.#write(this.hosts[what.host]!);
    else this.#end(this.hosts[what.host]!, what.kind === 'release');
  }

  /** Hosts that believe that it is theirs. */
  believers(): number {
    return this.hosts.filter((one) => one.token !== undefined && this.nowMs + one.monotonicOffsetMs < one.goodUntilMs).length;
  }

  #read(one: Host, index: number): void {
    const nowMs = this.nowMs + one.monotonicOffsetMs;
    const serverNow = later(this.nowMs + this.serverSkewMs);
    one.sightings = sight(one.sightings, this.document, nowMs);
    const token = one.token ?? `${index}-${one.born++}`;
    const renewed = one.token === undefined ? undefined : renewLease(this.document, token, serverNow);
    delete one.pending;
    if (one.token !== undefined && renewed === undefined) {
      delete one.token;
      return;
    }
    const decision = decideLease(wanted(token), { document: this.document, sightings: one.sightings, nowMs, serverNow, gone: NOBODY });
    const document = renewed ?? (decision.kind === 'acquire' ? decision.document : undefined);
    if (document !== undefined) one.pending = { version: this.version, document, token };
  }

  #write(one: Host): void {
    const { pending } = one;
    delete one.pending;
    if (pending === undefined || pending.version !== this.version) return;
    if (one.token === undefined && this.document.leases.length > 0) this.takeOvers += 1;
    this.document = pending.document;
    this.version += 1;
    one.token = pending.token;
    one.goodUntilMs = this.nowMs + one.monotonicOffsetMs + TERM_MS;
  }

  #end(one: Host, released: boolean): void {
    const document = released && one.token !== undefined ? releaseLease(this.document, one.token) : undefined;
    if (document !== undefined) {
      this.document = document;
      this.version += 1;
    }
    delete one.token;
    delete one.pending;
    one.sightings = new Map();
  }
}

describe('of several hosts', () => {
  it('never two believe at one time that they hold it, whatever their clocks and that of the server do', () => {
    let takeOvers = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 20, maxLength: 120 }), (events) => {
        const hosts = new Hosts();
        for (const one of events) {
          hosts.apply(one);
          expect(hosts.believers()).toBeLessThanOrEqual(1);
        }
        takeOvers += hosts.takeOvers;
      }),
      { numRuns: 500 },
    );
    expect(takeOvers).toBeGreaterThan(20);
  });
});
