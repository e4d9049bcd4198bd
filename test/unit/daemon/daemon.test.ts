import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Daemon, type DaemonCluster, type DaemonSetup } from '../../../src/daemon/daemon.ts';
import type { DaemonEvent } from '../../../src/daemon/events.ts';
import { instantOfMillis } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import { ManualClock } from '../../fakes/manual-clock.ts';
import { FakeWork, schedule } from './fake-work.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

function at(time: string) {
  return instantOfMillis(Date.parse(`2026-11-22T${time}Z`));
}

describe('the daemon', () => {
  let clock: ManualClock;
  let events: DaemonEvent[];
  let lifecycle: string[];
  let stop: AbortController;
  let running: Promise<void>;
  let daemon: Daemon;
  let setup: DaemonSetup | SpokeError;

  beforeEach(() => {
    clock = new ManualClock(at('12:00:30'));
    events = [];
    lifecycle = [];
    stop = new AbortController();
  });

  afterEach(async () => {
    stop.abort(new SpokeError('TERMINATED', 'the test is over'));
    await clock.advance(10 * MINUTE);
    await running;
  });

  function setupOf(works: readonly FakeWork[], changes: Partial<DaemonSetup> = {}, fingerprint = 'same'): DaemonSetup {
    const clusters: DaemonCluster[] = works.map((work) => ({ work, fingerprint }));
    return { clusters, limits: { inAll: 10, perHost: 10 }, graceMs: 30 * SECOND, ...changes };
  }

  async function begin(first: DaemonSetup): Promise<void> {
    setup = first;
    daemon = new Daemon({
      clock,
      say: (event) => events.push(event),
      load: () => (setup instanceof SpokeError ? Promise.reject(setup) : Promise.resolve(setup)),
      lifecycle: {
        ready: () => lifecycle.push('ready'),
        reloading: () => lifecycle.push('reloading'),
        stopping: () => lifecycle.push('stopping'),
      },
    });
    running = daemon.run(stop.signal);
    // node-cron is loaded first, for which no clock of ours stands still.
    await expect.poll(() => said('configuration-loaded').length, { interval: 1, timeout: 10_000 }).toBe(1);
    await clock.advance(0);
  }

  const said = (kind: DaemonEvent['kind']) => events.filter((event) => event.kind === kind);

  it('does what is due at its time, and once', async () => {
    const work = new FakeWork('main', clock);
    await begin(setupOf([work]));
    expect(work.begun).toEqual([]);
    await clock.advance(5 * MINUTE);
    const occurrences = work.begun.map(({ trigger }) => (trigger.kind === 'schedule' ? trigger.occurrence : undefined));
    expect(occurrences).toEqual(['12:01', '12:02', '12:03', '12:04', '12:05'].map((time) => at(`${time}:00`)));
    expect(said('run-ended')).toHaveLength(5);
  });

  it('begins no run of a cluster while one is under way, and does not pile up what was due meanwhile', async () => {
    const work = new FakeWork('main', clock);
    work.runMs = 3.5 * MINUTE;
    await begin(setupOf([work]));
    await clock.advance(4 * MINUTE);
    expect(work.begun).toHaveLength(1);
    await clock.advance(MINUTE);
    expect(work.begun).toHaveLength(2);
    expect(said('passed-over')).not.toEqual([]);
  });

  it('bounds the runs of one host and those of all', async () => {
    const works = ['a', 'b', 'c', 'd'].map((name, index) => new FakeWork(name, clock, { host: index < 2 ? 'shared' : name }));
    for (const work of works) work.runMs = 20 * SECOND;
    await begin(setupOf(works, { limits: { inAll: 2, perHost: 1 } }));
    const underWay = () => works.map((work) => work.underWay);
    await clock.advance(35 * SECOND);
    expect(underWay()).toEqual([1, 0, 1, 0]);
    await clock.advance(20 * SECOND);
    expect(underWay()).toEqual([0, 1, 0, 1]);
  });

  it('lets a run end within its grace period when it is told to stop, and begins none', async () => {
    const work = new FakeWork('main', clock);
    await begin(setupOf([work]));
    await clock.advance(31 * SECOND);
    expect(work.underWay).toBe(1);
    stop.abort(new SpokeError('TERMINATED', 'asked to end'));
    await clock.advance(20 * SECOND);
    await running;
    expect(work.runs.map(({ state }) => state.kind)).toEqual(['succeeded']);
    expect(work.tenures).toBe(0);
    expect(lifecycle).toEqual(['ready', 'stopping']);
  });

  it('takes no new configuration once it is told to stop', async () => {
    const work = new FakeWork('main', clock);
    await begin(setupOf([work]));
    await clock.advance(31 * SECOND);
    stop.abort(new SpokeError('TERMINATED', 'asked to end'));
    const fresh = new FakeWork('fresh', clock);
    setup = setupOf([fresh]);
    await clock.advance(0);
    await daemon.reload();
    await clock.advance(2 * MINUTE);
    await running;
    expect([fresh.begun, fresh.tenures]).toEqual([[], 0]);
  });

  it('ends a run that takes longer than its grace period, to be resumed', async () => {
    const work = new FakeWork('main', clock);
    work.runMs = 60 * MINUTE;
    await begin(setupOf([work], { graceMs: 5 }));
    await clock.advance(31 * SECOND);
    stop.abort(new SpokeError('TERMINATED', 'asked to end'));
    await clock.advance(5);
    await running;
    expect(work.runs.map(({ state }) => state.kind)).toEqual(['interrupted']);
    expect(work.tenures).toBe(0);
  });

  it('goes on with the configuration in force where a new one is refused', async () => {
    const work = new FakeWork('main', clock);
    const good = setupOf([work]);
    await begin(good);
    setup = new SpokeError('CONFIG_INVALID', 'line 3: unknown key');
    await daemon.reload();
    expect(said('configuration-refused')).toEqual([{ kind: 'configuration-refused', message: 'line 3: unknown key' }]);
    await clock.advance(MINUTE);
    expect(work.begun).toHaveLength(1);
    expect(lifecycle).toEqual(['ready', 'reloading', 'ready']);
  });

  it('leaves clusters alone that a new configuration does not change, ends those that are gone, begins those that are new', async () => {
    const [kept, gone, fresh] = ['kept', 'gone', 'fresh'].map((name) => new FakeWork(name, clock)) as [FakeWork, FakeWork, FakeWork];
    await begin(setupOf([kept, gone]));
    setup = setupOf([kept, fresh]);
    await daemon.reload();
    await clock.advance(MINUTE);
    expect([kept, gone, fresh].map((work) => [work.begun.length, work.tenures])).toEqual([
      [1, 1],
      [0, 0],
      [1, 1],
    ]);
  });

  it('lets the run of a cluster that has changed end before its successor begins', async () => {
    const before = new FakeWork('main', clock);
    before.runMs = 3 * MINUTE;
    await begin(setupOf([before]));
    await clock.advance(31 * SECOND);
    const after = new FakeWork('main', clock);
    setup = setupOf([after], {}, 'changed');
    await daemon.reload();
    await clock.advance(2 * MINUTE);
    expect([before.underWay, after.begun.length]).toEqual([1, 0]);
    await clock.advance(2 * MINUTE);
    expect(before.runs.map(({ state }) => state.kind)).toEqual(['succeeded']);
    expect(after.begun.length).toBeGreaterThan(0);
  });

  it('ends its run and stands by where another may have its cluster', async () => {
    const work = new FakeWork('main', clock);
    work.runMs = 60 * MINUTE;
    await begin(setupOf([work]));
    await clock.advance(31 * SECOND);
    work.loseOffice();
    await clock.advance(0);
    expect(work.runs[0]?.state.kind).toBe('interrupted');
    expect(said('office-lost')).toHaveLength(1);
    expect(said('standing-by')).toHaveLength(2);
  });

  it('says that it cannot see what is due, tries again, and misses nothing', async () => {
    const work = new FakeWork('main', clock);
    await begin(setupOf([work]));
    work.observeError = new SpokeError('FILE_SYSTEM_FAILED', 'no such disk');
    await clock.advance(3 * MINUTE);
    expect(work.begun).toEqual([]);
    expect(said('observing-failed').length).toBeGreaterThan(2);
    work.observeError = undefined;
    await clock.advance(MINUTE);
    expect(work.begun.length).toBeGreaterThan(0);
  });

  it('gives a cluster back that it cannot begin with, and tries again', async () => {
    const work = new FakeWork('main', clock);
    work.prepareError = new SpokeError('FILE_SYSTEM_FAILED', 'no such disk');
    await begin(setupOf([work]));
    expect(work.tenures).toBe(0);
    await clock.advance(MINUTE);
    expect([work.tenures, work.begun.length]).toEqual([1, 1]);
  });

  it('looks again at once when the clock was put forward', async () => {
    const work = new FakeWork('main', clock, { schedules: [schedule({ name: 'nightly', cron: '0 2 * * *' })] });
    await begin(setupOf([work]));
    await clock.advance(MINUTE);
    clock.jump(3 * 24 * 60 * 60);
    await clock.advance(6 * SECOND);
    expect(said('clock-jumped')).toEqual([{ kind: 'clock-jumped', seconds: expect.closeTo(3 * 24 * 60 * 60, 0) as number }]);
    expect(work.begun).toHaveLength(1);
  });

  it('does not begin at all with a configuration that is refused', async () => {
    const refused = new SpokeError('CONFIG_INVALID', 'line 3: unknown key');
    setup = refused;
    const parts = { clock, say: () => undefined, load: () => Promise.reject(refused) };
    running = Promise.resolve();
    const other = new Daemon({ ...parts, lifecycle: { ready: () => undefined, reloading: () => undefined, stopping: () => undefined } });
    await expect(other.run(stop.signal)).rejects.toBe(refused);
  });
});
