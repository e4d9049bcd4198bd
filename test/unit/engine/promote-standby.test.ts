import { describe, expect, it } from 'vitest';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import { NO_OTHER_HOSTS } from '../../../src/engine/on-hosts.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { StepOf } from '../../../src/plan/step.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { promoteStep, stopStep } from '../../../src/workflows/change-primary/steps.ts';
import { OTHERS, OURS } from '../domain/topology/facts.ts';
import { HELD } from '../workflows/switchover-world.ts';

interface Server {
  inRecovery: boolean;
  timeline: number;
  systemIdentifier: bigint;
  replayLsn?: bigint;
}

/** Servers a (the old primary, stopped), b and c, and what was done to them in its order. */
class Machine {
  readonly done: string[] = [];
  readonly servers = new Map<string, Server>([
    ['b', { inRecovery: true, timeline: 1, systemIdentifier: OURS, replayLsn: 24n }],
    ['c', { inRecovery: true, timeline: 1, systemIdentifier: OURS }],
  ]);
  directory = {
    path: HELD.dataDirectory,
    identity: HELD.identity,
    owner: { uid: 1, gid: 1, name: 'postgres' },
    control: { systemIdentifier: OURS, state: 'shut down', timeline: 1, checkpointLsn: 16n },
    hasStandbySignal: true,
  } as unknown as DirectoryFacts;

  control(more: Record<string, unknown>): void {
    this.directory = { ...this.directory, control: { ...this.directory.control, ...more } } as unknown as DirectoryFacts;
  }

  handlers() {
    return createStepHandlers(this.#ports());
  }

  #ports(): HandlerPorts {
    const at = (url: string) => {
      const server = this.servers.get(url);
      if (server === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'connection refused');
      return server;
    };
    const inspectDirectory = async () => this.directory;
    return {
      ...NO_OTHER_HOSTS,
      access: { addressOf: async (node: string) => ({ kind: 'url', url: node }) },
      postgres: {
        observeServer: async ({ url }: { url: string }) => ({ ...at(url) }),
        observeRecovery: async ({ url }: { url: string }) => ({ ...at(url) }),
      },
      postgresWriter: {
        promote: async ({ url }: { url: string }) => {
          this.done.push(`promote ${url}`);
          Object.assign(at(url), { inRecovery: false, timeline: 2 });
        },
      },
      instance: {
        inspectDirectory,
        findInstallation: async () => ({ binDirectory: '/bin' }),
        readWalEnd: async () => ({ timeline: 1, lsn: 32n }),
      },
      instanceControl: {
        writeFileDurably: async (path: string) => {
          this.done.push(`write ${path}`);
          this.directory = { ...this.directory, hasStandbySignal: true };
        },
        removeFileDurably: async (path: string) => void this.done.push(`rm ${path}`),
        startServer: async () => void this.done.push('start'),
        stopServer: async () => {
          this.done.push('stop');
          const { running: _running, ...stopped } = this.directory;
          this.directory = stopped;
        },
      },
    } as unknown as HandlerPorts;
  }
}

/** The candidate, of which nobody knows what it has replayed. */
const B: Server = { inRecovery: true, timeline: 1, systemIdentifier: OURS };
const CONTEXT = { signal: new AbortController().signal, timeoutMs: 1000 };
const STEP = promoteStep({
  to: 'b',
  systemIdentifier: String(OURS),
  timeline: 1,
  fences: [{ kind: 'stopped', server: HELD }],
  others: ['a', 'c'],
  handedOverBy: HELD,
  limitMs: 1000,
}) as StepOf<'promote-standby'>;
const promote = (machine: Machine) => machine.handlers()['promote-standby'].run(STEP, CONTEXT);

describe('promoting a standby', () => {
  it('tells the timeline that it has begun', async () => {
    const machine = new Machine();
    expect(await promote(machine)).toMatchObject({ timeline: 2 });
    expect(machine.done).toEqual(['promote b']);
  });

  it.each<[string, (machine: Machine) => void, string]>([
    ['the old primary was started again', (m) => (m.directory = { ...m.directory, running: { evidence: 'process' } }), 'runs in'],
    ['it could be started as a primary', (m) => (m.directory = { ...m.directory, hasStandbySignal: false }), 'no standby.signal'],
    ['its data directory was exchanged', (m) => (m.directory = { ...m.directory, identity: '9:9' }), 'not the directory'],
    [
      'the fenced node answers and accepts writes',
      (m) => m.servers.set('a', { inRecovery: false, timeline: 1, systemIdentifier: OURS }),
      'a answers and accepts writes',
    ],
    [
      'a third node was promoted',
      (m) => m.servers.set('c', { inRecovery: false, timeline: 2, systemIdentifier: OURS }),
      'c answers and accepts writes',
    ],
    [
      'it is of another cluster',
      (m) => m.servers.set('b', { inRecovery: true, timeline: 1, systemIdentifier: OTHERS }),
      'of another cluster',
    ],
    ['it has not replayed the shutdown checkpoint', (m) => m.servers.set('b', { ...B, replayLsn: 16n }), 'has replayed to 0/10, not the'],
    ['it has replayed nothing yet', (m) => m.servers.set('b', B), 'has replayed to nowhere'],
    ['the old primary was not shut down cleanly', (m) => m.control({ state: 'in production' }), 'not shut down cleanly on timeline 1'],
    ['the old primary wrote on and stopped again', (m) => m.control({ checkpointLsn: 24n }), 'not the shutdown checkpoint of a at 0/18'],
    [
      'the old primary was a standby since, and has more',
      (m) => m.control({ state: 'shut down in recovery' }),
      'end of the WAL of a at 0/20',
    ],
    ['the old primary ended on another timeline', (m) => m.control({ timeline: 2 }), 'not shut down cleanly on timeline 1'],
    ['it follows another timeline', (m) => m.servers.set('b', { inRecovery: true, timeline: 5, systemIdentifier: OURS }), 'timeline 5'],
  ])('is not done where %s', async (_what, change, message) => {
    const machine = new Machine();
    change(machine);
    await expect(promote(machine)).rejects.toThrow(message);
    expect(machine.done).toEqual([]);
  });

  it('is done where the old primary was a standby since, and has nothing more', async () => {
    const machine = new Machine();
    machine.control({ state: 'shut down in recovery' });
    machine.servers.set('b', { ...B, replayLsn: 32n });
    expect(await promote(machine)).toMatchObject({ timeline: 2 });
  });

  it('is found done where it was promoted before', async () => {
    const machine = new Machine();
    machine.servers.set('b', { inRecovery: false, timeline: 2, systemIdentifier: OURS });
    expect(await promote(machine)).toMatchObject({ timeline: 2 });
  });
});

describe('bringing the old primary back', () => {
  const step = { kind: 'bring-back-primary', server: HELD } as StepOf<'bring-back-primary'>;

  it.each<[string, string, boolean, string[]]>([
    ['was started as a standby', 'in archive recovery', true, ['stop', 'rm /data/a/standby.signal', 'start']],
    ['is still on its way down', 'shutting down', true, ['stop', 'rm /data/a/standby.signal', 'start']],
    ['was never stopped', 'in production', true, ['rm /data/a/standby.signal']],
    ['was started as a primary', 'in production', false, []],
    ['recovers from a crash as a primary', 'in crash recovery', false, []],
  ])('that %s (%s, standby.signal: %s) does %j', async (_what, state, hasStandbySignal, done) => {
    const machine = new Machine();
    machine.control({ state });
    machine.directory = { ...machine.directory, hasStandbySignal, running: { evidence: 'process' } };
    await machine.handlers()['bring-back-primary'].run(step, CONTEXT);
    expect(machine.done).toEqual(done);
  });
});

describe('stopping the old primary', () => {
  const step = stopStep(HELD, 'fast', 'a test', 1000) as StepOf<'stop-primary'>;
  const running = () => {
    const machine = new Machine();
    machine.directory = { ...machine.directory, hasStandbySignal: false, running: { evidence: 'process' } };
    return machine;
  };

  it('leaves standby.signal before it stops the server', async () => {
    const machine = running();
    expect(await machine.handlers()['stop-primary'].run(step, CONTEXT)).toEqual({ state: 'shut down', timeline: 1, checkpointLsn: '0/10' });
    expect(machine.done).toEqual(['write /data/a/standby.signal', 'stop']);
  });

  it('touches no other directory, and none of another cluster', async () => {
    for (const other of [
      { identity: '9:9' },
      { control: { systemIdentifier: OTHERS } as unknown as NonNullable<DirectoryFacts['control']> },
    ]) {
      const machine = running();
      machine.directory = { ...machine.directory, ...other };
      await expect(machine.handlers()['stop-primary'].run(step, CONTEXT)).rejects.toThrow(SpokeError);
      expect(machine.done).toEqual([]);
    }
  });
});
