import { describe, expect, it } from 'vitest';
import { lsnOf } from '../../../src/domain/postgres/lsn.ts';
import { awaitStreaming } from '../../../src/engine/handlers/await-streaming.ts';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import type { ReplicationSlot } from '../../../src/domain/topology/replication-facts.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { StepOf } from '../../../src/plan/step.ts';
import { awaitStep } from '../../../src/workflows/reseed/steps.ts';
import { DATA, directory, GOOD_SLOT, intentFor } from '../workflows/reseed-intent.ts';

const CLUSTER = '7000000000000000001';
const PATIENCE_MS = 60_000;
const STEP = awaitStep(intentFor('basebackup', { patienceMs: PATIENCE_MS })) as StepOf<'await-streaming'>;
const RUNNING = { running: { evidence: 'postmaster.pid', pid: 7 } } as const;

/** What there is to be seen at one look. */
interface Seen {
  /** Absent: it does not answer. */
  readonly standby?: { readonly inRecovery?: boolean; readonly systemIdentifier?: string; readonly receives?: boolean };
  readonly isRunning?: boolean;
  readonly log?: string;
  readonly hostIsAway?: boolean;
  /** In use and good where it is not given; null: there is none. */
  readonly slot?: Partial<ReplicationSlot> | null;
}

/** One look after the other; the last one stays. Sleeping lets the time pass. */
function worldOf(looks: readonly Seen[]): { readonly ports: HandlerPorts; readonly sleptMs: () => number } {
  let nowMs = 0;
  let look = 0;
  const seen = (): Seen => looks[Math.min(look, looks.length - 1)] ?? {};
  const whole = { timeline: 3, inRecovery: false, systemIdentifier: CLUSTER };
  const instance = {
    inspectDirectory: () =>
      seen().hostIsAway === true
        ? Promise.reject(new SpokeError('HOST_UNREACHABLE', 'no route to host'))
        : Promise.resolve(directory(DATA, seen().isRunning === false ? {} : RUNNING)),
    readServerLog: () => Promise.resolve(''),
    readFileTail: (path: string) => Promise.resolve(path === `${DATA}.log` ? (seen().log ?? '') : ''),
  };
  const ports = {
    access: { addressOf: (node: string) => Promise.resolve({ kind: 'url', url: node }) },
    clock: {
      monotonicMs: () => nowMs,
      sleep(ms: number) {
        nowMs += ms;
        look += 1;
        return Promise.resolve();
      },
    },
    hosts: { isElsewhere: () => false },
    instance,
    postgres: {
      observeServer({ url }: { readonly url: string }) {
        if (url === 'primary-1') return Promise.resolve(whole);
        const { standby } = seen();
        if (standby === undefined) return Promise.reject(new SpokeError('POSTGRES_UNAVAILABLE', 'connection refused'));
        return Promise.resolve({ ...whole, inRecovery: true, ...standby });
      },
      observeReplication({ url }: { readonly url: string }) {
        if (url === 'primary-1') return Promise.resolve({ serverTime: 0n, flushLsn: lsnOf(100n), slots: slotsOf(seen()) });
        const receiver = seen().standby?.receives === false ? {} : { receiver: { status: 'streaming', timeline: 3 } };
        return Promise.resolve({ serverTime: 0n, replayedLsn: lsnOf(100n), receivedLsn: lsnOf(100n), ...receiver });
      },
    },
  } as unknown as HandlerPorts;
  return { ports, sleptMs: () => nowMs };
}

function slotsOf({ slot = { active: true } }: Seen): readonly ReplicationSlot[] {
  return slot === null ? [] : [{ ...GOOD_SLOT, ...slot }];
}

async function failureOf(looks: readonly Seen[]) {
  const { ports, sleptMs } = worldOf(looks);
  try {
    await awaitStreaming(ports, STEP, { signal: new AbortController().signal });
  } catch (thrown) {
    return { error: asSpokeError(thrown), sleptMs: sleptMs() };
  }
  throw new Error('it streamed');
}

describe('waiting until a standby streams', () => {
  it('ends when its receiver streams by the slot, on the timeline of the primary', async () => {
    const { ports } = worldOf([{}, { standby: { receives: false } }, { standby: {} }]);
    const streaming = await awaitStreaming(ports, STEP, { signal: new AbortController().signal });
    expect(streaming).toEqual({ timeline: 3, lagBytes: '0', seconds: 1 });
  });

  it('fails at once when its server has ended, with the reason in its log', async () => {
    const log = [
      '2026-11-25 12:00:00.000 UTC [7] LOG:  starting PostgreSQL 15.14',
      '2026-11-25 12:00:00.100 UTC [8] FATAL:  the database system is starting up',
      '2026-11-25 12:00:00.200 UTC [9] FATAL:  could not locate required checkpoint record',
      '2026-11-25 12:00:00.300 UTC [7] LOG:  startup process (PID 9) exited with exit code 1',
    ].join('\n');
    const { error, sleptMs } = await failureOf([{}, { isRunning: false, log }]);
    expect(error.code).toBe('POSTGRES_FAILED');
    expect(error.message).toBe('the server of replica-2 ended before it streamed: could not locate required checkpoint record');
    expect(error.details).toMatchObject({ serverLog: log });
    expect(error.hint).toContain('runs resume');
    expect(sleptMs).toBe(500);
  });

  it('goes on waiting while the host of the standby cannot be looked at', async () => {
    const { ports } = worldOf([{ hostIsAway: true }, { standby: {} }]);
    expect(await awaitStreaming(ports, STEP, { signal: new AbortController().signal })).toMatchObject({ timeline: 3 });
  });

  it('gives up when it comes no further, and says what keeps its receiver from connecting', async () => {
    const line =
      '2026-11-25 12:00:01.000 UTC [11] FATAL:  could not start WAL streaming: ERROR:  replication slot "replica_2" does not exist';
    const { error, sleptMs } = await failureOf([{ standby: { receives: false }, log: `${line}\n` }]);
    expect(error.code).toBe('TIMED_OUT');
    expect(error.message).toContain('it has no WAL receiver');
    expect(error.message).toContain('replication slot "replica_2" does not exist');
    expect(error.details).toMatchObject({ trouble: 'slot' });
    expect(sleptMs).toBeGreaterThan(PATIENCE_MS);
  });

  it.each<[string, Partial<ReplicationSlot> | null]>([
    ['is lost', { walStatus: 'lost' }],
    ['is invalid', { invalidationReason: 'wal_removed' }],
    ['was dropped', null],
  ])('fails at once when the slot %s: nothing streams by it any more', async (_what, slot) => {
    const { error, sleptMs } = await failureOf([{ standby: { receives: false } }, { standby: { receives: false }, slot }]);
    expect(error.code).toBe('POSTGRES_FAILED');
    expect(error.message).toContain('lost the slot replica_2');
    expect(sleptMs).toBe(500);
  });

  it.each<[string, Seen, string]>([
    ['another cluster answers', { standby: { systemIdentifier: '7000000000000000002' } }, 'REFUSED_WRONG_CLUSTER'],
    ['it accepts writes', { standby: { inRecovery: false } }, 'REFUSED_PRECONDITION'],
  ])('fails where %s', async (_what, seen, code) => {
    expect((await failureOf([seen])).error.code).toBe(code);
  });
});
