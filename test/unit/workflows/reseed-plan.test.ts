import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReplicationSlot } from '../../../src/domain/topology/replication-facts.ts';
import type { ReseedMethodName } from '../../../src/domain/topology/reseed-facts.ts';
import type { Step, StepKind } from '../../../src/plan/step.ts';
import type { SeedMark } from '../../../src/domain/topology/seed-mark.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import type { ReseedProgress } from '../../../src/workflows/reseed/facts.ts';
import { type ReseedIntent, worksInPlace } from '../../../src/workflows/reseed/intent.ts';
import { planReseed } from '../../../src/workflows/reseed/plan.ts';
import type { BouncerFacts, PlacedNode } from '../../../src/workflows/setup-cluster/pgbouncer.ts';
import { DATA, directory, GOOD_SLOT, intentFor, OLD, untouched } from './reseed-intent.ts';

const RUN = 'run-1';
const METHODS: readonly ReseedMethodName[] = ['rewind', 'delta', 'backup', 'basebackup'];
const kindsOf = (steps: readonly Step[]) => steps.map(({ kind }) => kind);
/** Done each time that the run passes: looks, and what tells a PgBouncer. */
const REPEATED: readonly StepKind[] = ['await-streaming', 'write-pgbouncer', 'reload-pgbouncer', 'check-pgbouncer'];
const once = (steps: readonly Step[]) => kindsOf(steps).filter((kind) => !REPEATED.includes(kind));

/** What each step is written to do to what is seen. */
function after(facts: ReseedProgress, step: Step): ReseedProgress {
  const { running: _running, ...stopped } = facts.destination;
  switch (step.kind) {
    case 'stop-standby':
      return { ...facts, destination: stopped };
    case 'write-passfile':
      return { ...facts, passfileIsCurrent: true };
    case 'renew-slot':
      return { ...facts, slot: GOOD_SLOT };
    case 'reserve-reseed':
      return { ...facts, areaExists: true, mark: { runId: RUN, phase: 'reserved' } };
    case 'rewind-standby':
      return { ...facts, mark: { runId: RUN, phase: 'seeded', dataIdentity: facts.destination.identity ?? '' } };
    case 'copy-standby':
      return { ...facts, mark: { runId: RUN, phase: 'seeded', dataIdentity: '1:99' } };
    case 'restore-standby':
      return {
        ...facts,
        mark: { runId: RUN, phase: 'seeded', dataIdentity: step.into === 'beside' ? '1:99' : (facts.destination.identity ?? '') },
      };
    case 'configure-standby':
      return { ...facts, mark: { runId: RUN, dataIdentity: '', ...facts.mark, phase: 'configured' } };
    case 'swap-standby':
      return {
        ...facts,
        ...(step.oldDataDirectory === undefined ? {} : { old: facts.old ?? directory(OLD, identityOf(facts.destination)) }),
        destination: directory(DATA, { identity: facts.mark?.dataIdentity ?? '' }),
      };
    case 'start-restored':
      return { ...facts, destination: { ...facts.destination, running: { evidence: 'postmaster.pid' } } };
    case 'await-streaming':
      return { ...facts, hasStreamed: true };
    case 'release-restore-area': {
      const { mark: _mark, ...rest } = facts;
      return { ...rest, areaExists: false };
    }
    case 'discard-old': {
      const { old: _old, ...rest } = facts;
      return rest;
    }
    default:
      return facts;
  }
}

function identityOf({ identity }: DirectoryFacts): Partial<DirectoryFacts> {
  return identity === undefined ? {} : { identity };
}

const NODES: readonly PlacedNode[] = ['primary-1', 'replica-1', 'replica-2'].map((name, index) => ({
  name,
  role: index === 0 ? 'primary' : 'standby',
  address: { host: `10.0.0.${index + 1}`, port: 5432 },
}));
const BOUNCER: BouncerFacts = {
  bouncer: {
    name: 'front',
    adminUrl: { text: '', references: [] } as unknown as BouncerFacts['bouncer']['adminUrl'],
    configFile: '/etc/pgbouncer/pgbouncer.ini',
    userListFile: '/etc/pgbouncer/userlist.txt',
    databases: { app: { to: 'primary' }, reports: { to: 'standbys', database: 'app' } },
    users: [],
    settings: {},
    pauseTimeoutSeconds: 10,
  },
  adminUser: 'admin',
  listenPort: 6432,
  configuration: '; Written by spoke-backup setup pgbouncer',
  userListIsCurrent: true,
};

const slots: readonly (ReplicationSlot | undefined)[] = [undefined, GOOD_SLOT, { ...GOOD_SLOT, walStatus: 'lost' }];
const anyStart = fc.record({
  method: fc.constantFrom(...METHODS),
  keepOld: fc.boolean(),
  isEmpty: fc.boolean(),
  isRunning: fc.boolean(),
  passfileIsCurrent: fc.boolean(),
  slot: fc.constantFrom(...slots),
  hasFront: fc.boolean(),
});
type Start = typeof anyStart extends fc.Arbitrary<infer T> ? T : never;

function begin({ method, keepOld, isEmpty, isRunning, passfileIsCurrent, slot, hasFront }: Start): [ReseedIntent, ReseedProgress] {
  const isNew = isEmpty && !worksInPlace(method);
  const { running, ...stopped } = untouched().destination;
  const intent = intentFor(method, { keepOld, ...(isNew ? { destinationIdentity: null, oldDataDirectory: null } : {}) });
  return [
    intent,
    untouched({
      destination: isNew ? directory(DATA, { kind: 'absent' }) : isRunning && running !== undefined ? { ...stopped, running } : stopped,
      passfileIsCurrent,
      ...(slot === undefined ? {} : { slot }),
      ...(hasFront ? { front: { nodes: NODES, bouncers: [BOUNCER] } } : {}),
    }),
  ];
}

/** Each plan on the way, with the step that was done after it. */
function play(intent: ReseedIntent, start: ReseedProgress): { readonly facts: ReseedProgress; readonly rest: readonly Step[] }[] {
  const way = [];
  let facts = start;
  for (const step of planReseed(intent, start, RUN).steps) {
    way.push({ facts, rest: planReseed(intent, facts, RUN).steps });
    facts = after(facts, step);
  }
  return way;
}

describe('the plan of a reseed', () => {
  it('takes the standby out, stops it, seeds it, has it stream, puts it back and removes the old data, in this order', () => {
    const front = { nodes: NODES, bouncers: [BOUNCER] };
    expect(kindsOf(planReseed(intentFor('basebackup'), untouched({ front }), RUN).steps)).toEqual([
      ...['write-pgbouncer', 'reload-pgbouncer', 'check-pgbouncer'],
      ...['stop-standby', 'write-passfile', 'renew-slot', 'reserve-reseed', 'copy-standby', 'configure-standby', 'swap-standby'],
      ...['start-restored', 'await-streaming'],
      ...['write-pgbouncer', 'reload-pgbouncer', 'check-pgbouncer'],
      ...['release-restore-area', 'discard-old'],
    ]);
  });

  it('leaves the standby out of what reads from standbys until it streams', () => {
    const { steps } = planReseed(intentFor('rewind'), untouched({ front: { nodes: NODES, bouncers: [BOUNCER] } }), RUN);
    const written = steps.filter((step) => step.kind === 'write-pgbouncer').map(({ configuration }) => configuration);
    expect(written).toHaveLength(2);
    expect(written[0]).toMatch(/reports = host='?10\.0\.0\.2'? /);
    expect(written[1]).toMatch(/reports = host='?10\.0\.0\.2,10\.0\.0\.3'? /);
  });

  it('makes the slot afresh where it is missing or lost, and leaves a good one', () => {
    const planned = (slot?: ReplicationSlot) =>
      kindsOf(planReseed(intentFor('delta'), untouched(slot === undefined ? {} : { slot }), RUN).steps).includes('renew-slot');
    expect(planned()).toBe(true);
    expect(planned({ ...GOOD_SLOT, walStatus: 'lost' })).toBe(true);
    expect(planned({ ...GOOD_SLOT, invalidationReason: 'idle_timeout' })).toBe(true);
    expect(planned(GOOD_SLOT)).toBe(false);
  });

  it('gives pg_basebackup the slot only where the source is the server that has it', () => {
    const slotOfCopy = (intent: ReseedIntent) =>
      planReseed(intent, untouched(), RUN).steps.find((step) => step.kind === 'copy-standby')?.slot;
    expect(slotOfCopy(intentFor('basebackup'))).toBe('replica_2');
    expect(slotOfCopy(intentFor('basebackup', { source: { kind: 'standby', name: 'replica-1' } }))).toBeUndefined();
  });

  it('goes on, after every step, with the rest of the same plan', () => {
    fc.assert(
      fc.property(anyStart, (start) => {
        const [intent, facts] = begin(start);
        const all = planReseed(intent, facts, RUN).steps;
        for (const [index, { rest }] of play(intent, facts).entries()) expect(once(rest)).toEqual(once(all.slice(index)));
      }),
    );
  });

  it('removes nothing before the standby was seen to stream from its new data, and then last of all', () => {
    fc.assert(
      fc.property(anyStart, (start) => {
        const [intent, facts] = begin(start);
        for (const { rest } of play(intent, facts)) {
          const kinds = kindsOf(rest);
          const removed = kinds.indexOf('discard-old');
          if (removed >= 0) expect(removed).toBe(kinds.length - 1);
          expect(kinds).toContain('await-streaming');
          if (removed >= 0) expect(kinds.indexOf('await-streaming')).toBeLessThan(removed);
        }
        const removes = kindsOf(planReseed(intent, facts, RUN).steps).includes('discard-old');
        expect(removes).toBe(intent.oldDataDirectory !== null && !intent.keepOld);
      }),
    );
  });

  it('starts nothing that has not the settings of a standby, and touches no data of a server that runs', () => {
    fc.assert(
      fc.property(anyStart, (start) => {
        const [intent, facts] = begin(start);
        for (const { facts: seen, rest } of play(intent, facts)) {
          const [next] = rest;
          if (next?.kind === 'start-restored') expect(seen.mark?.phase ?? (seen.hasStreamed && 'configured')).toBe('configured');
          if (next !== undefined && ['rewind-standby', 'restore-standby', 'copy-standby', 'swap-standby'].includes(next.kind))
            expect(seen.destination.running).toBeUndefined();
        }
      }),
    );
  });

  it('seeds again what was interrupted half-way, and leaves the old data in its place until then where it seeds beside', () => {
    for (const method of METHODS) {
      const intent = intentFor(method);
      const { running: _running, ...stopped } = untouched().destination;
      const halfWay = untouched({
        destination: stopped,
        areaExists: true,
        passfileIsCurrent: true,
        slot: GOOD_SLOT,
        mark: { runId: RUN, phase: 'seeding', dataIdentity: worksInPlace(method) ? '1:10' : '1:99' },
      });
      const [first] = planReseed(intent, halfWay, RUN).steps;
      expect(['rewind-standby', 'restore-standby', 'copy-standby']).toContain(first?.kind);
      expect(first?.effect).toBe(worksInPlace(method) ? 'destructive' : 'write');
    }
  });

  it('goes another way where pg_rewind was interrupted, which cannot find out again what it has to fetch, and removes what it left last', () => {
    const { method, source, backup, conninfo, restoreFrom } = intentFor('basebackup');
    const instead = { method, source, backup, conninfo, restoreFrom, reason: 'everything', oldDataDirectory: OLD };
    const intent = intentFor('rewind', { instead, keepOld: true });
    const { running: _running, ...stopped } = untouched().destination;
    const facts = (mark: Omit<SeedMark, 'runId'>) =>
      untouched({ destination: stopped, areaExists: true, passfileIsCurrent: true, slot: GOOD_SLOT, mark: { runId: RUN, ...mark } });
    const first = (mark: Omit<SeedMark, 'runId'>) => planReseed(intent, facts(mark), RUN).steps[0]?.kind;
    expect(first({ phase: 'reserved' })).toBe('rewind-standby');
    expect(first({ phase: 'seeded', method: 'rewind', dataIdentity: '1:10' })).toBe('configure-standby');
    expect(first({ phase: 'seeding', method: 'rewind', dataIdentity: '1:10' })).toBe('copy-standby');
    expect(first({ phase: 'seeding', method: 'basebackup', dataIdentity: '1:99' })).toBe('copy-standby');
    const configured = facts({ phase: 'configured', method: 'basebackup', dataIdentity: '1:99' });
    const { steps } = planReseed(intent, configured, RUN);
    expect(kindsOf(steps)).toEqual(['swap-standby', 'start-restored', 'await-streaming', 'release-restore-area', 'discard-old']);
    const { mark: _mark, ...released } = configured;
    const end = { ...released, areaExists: false, hasStreamed: true, destination: directory(DATA, { identity: '1:99' }) };
    expect(kindsOf(planReseed(intent, { ...end, old: directory(OLD, { identity: '1:10' }) }, RUN).steps).at(-1)).toBe('discard-old');
  });

  it('finishes two renames of which one was done', () => {
    const between = untouched({
      destination: directory(DATA, { kind: 'absent' }),
      old: directory(OLD, { identity: '1:10' }),
      areaExists: true,
      passfileIsCurrent: true,
      slot: GOOD_SLOT,
      mark: { runId: RUN, phase: 'configured', dataIdentity: '1:99' },
    });
    const [swap] = planReseed(intentFor('backup'), between, RUN).steps;
    expect(swap).toMatchObject({ kind: 'swap-standby', oldDataDirectory: OLD, standby: { identity: undefined } });
  });

  it('has everything that touches the standby done on its host, and names what was confirmed with it', () => {
    fc.assert(
      fc.property(anyStart, (start) => {
        const [intent, facts] = begin(start);
        for (const step of planReseed(intent, facts, RUN).steps) {
          const isOfStandby = !['renew-slot', 'await-streaming', 'write-pgbouncer', 'reload-pgbouncer', 'check-pgbouncer'].includes(
            step.kind,
          );
          expect(step.on).toBe(isOfStandby ? intent.node : undefined);
          if ('standby' in step)
            expect(step.standby).toMatchObject({ identity: intent.destinationIdentity ?? undefined, primary: 'primary-1' });
        }
      }),
    );
  });
});
