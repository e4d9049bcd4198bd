import { describe, expect, it } from 'vitest';
import { patroniHandlers } from '../../../src/engine/handlers/patroni.ts';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import { awaitMemberStep, pauseStep, reinitializeStep, resumeStep, switchLeaderStep } from '../../../src/workflows/patroni/steps.ts';
import type { Step } from '../../../src/plan/step.ts';
import { FakePatroni, fakePatroniPorts } from '../../fakes/patroni.ts';

/** Patroni, a clock on which time passes by waiting, and servers that accept writes where Patroni has them lead. */
function place() {
  const fake = new FakePatroni('main', ['a', 'b', 'c']);
  const asked: string[] = [];
  const patroni = fakePatroniPorts(fake, undefined, async (what, act) => {
    asked.push(what);
    act();
  });
  let now = 0;
  const onSleep: (() => void)[] = [];
  const ports = {
    patroni,
    patroniControl: patroni,
    clock: {
      monotonicMs: () => now,
      sleep: async (ms: number) => {
        now += ms;
        onSleep.shift()?.();
      },
    },
    access: { addressOf: async (node: string) => ({ kind: 'url', url: node }) },
    postgres: {
      observeRecovery: async ({ url }: { readonly url: string }) => ({ inRecovery: url !== fake.leader, timeline: fake.timeline }),
    },
  } as unknown as HandlerPorts;
  const handlers = patroniHandlers(ports) as unknown as Record<
    string,
    { run(step: Step, context: object): Promise<Record<string, unknown>> }
  >;
  const run = (step: Step) => handlers[step.kind]!.run(step, { signal: new AbortController().signal, timeoutMs: 5_000 });
  return { fake, asked, run, onSleep };
}

const SWITCH = switchLeaderStep({ verb: 'switchover', from: 'a', to: 'b', node: 'b', timeline: 1 }, 5_000);

describe('handing over by Patroni', () => {
  it('ends when the new leader accepts writes, and asks nothing the second time', async () => {
    const { run, asked } = place();
    expect(await run(SWITCH)).toEqual({ leader: 'b', timeline: 2 });
    expect(await run(SWITCH)).toEqual({ leader: 'b', timeline: 2 });
    expect(asked).toEqual(['hand over to b']);
  });

  it('is given up where the candidate has ceased to stream, since it lacks what nobody would send it', async () => {
    const { run, fake, asked } = place();
    fake.member('b').streams = false;
    await expect(run(SWITCH)).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(asked).toEqual([]);
  });

  it('is given up where another one leads meanwhile', async () => {
    const { run, fake, asked } = place();
    fake.lead('c');
    await expect(run(SWITCH)).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(asked).toEqual([]);
  });

  it.each([
    { what: 'is on its way down', under: (fake: FakePatroni) => void (fake.member('a').state = 'stopping') },
    { what: 'is down, and nobody leads', under: (fake: FakePatroni) => void (fake.leader = undefined) },
  ])('waits for what was asked before where the old leader $what, and asks nothing', async ({ under }) => {
    const { run, fake, asked, onSleep } = place();
    under(fake);
    onSleep.push(() => fake.lead('b'));
    expect(await run(SWITCH)).toEqual({ leader: 'b', timeline: 2 });
    expect(asked).toEqual([]);
  });

  it('is given up where the leader was replaced, and leads again', async () => {
    const { run, fake, asked } = place();
    fake.lead('c');
    fake.lead('a');
    await expect(run(SWITCH)).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(asked).toEqual([]);
  });

  it('asks for a failover where nobody leads', async () => {
    const { run, fake, asked } = place();
    fake.leader = undefined;
    await run(switchLeaderStep({ verb: 'failover', from: null, to: 'c', node: 'c', timeline: 1 }, 5_000));
    expect(asked).toEqual(['fail over to c']);
  });

  it('waits where Patroni has stopped waiting, and tells by the server what came of it', async () => {
    const { run, fake, onSleep } = place();
    fake.isSlow = true;
    onSleep.push(() => fake.lead('b'));
    expect(await run(SWITCH)).toEqual({ leader: 'b', timeline: 2 });
  });

  it('is not asked of a Patroni that has lost its configuration store', async () => {
    const { run, fake } = place();
    fake.storeIsAway = true;
    await expect(run(SWITCH)).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE' });
  });
});

describe('making a member anew by Patroni', () => {
  const step = (startedAt: string | null) => reinitializeStep({ member: 'b', leader: 'a', startedAt });

  it('is asked for while its server is the old one, and not once it is another', async () => {
    const { run, asked } = place();
    await run(step('start 2'));
    await run(step('start 2'));
    expect(asked).toEqual(['reinitialize b']);
  });

  it('is not asked for where that member leads now, or another than was seen', async () => {
    const { run, fake, asked } = place();
    fake.lead('b');
    await expect(run(step('start 2'))).rejects.toMatchObject({ code: 'REFUSED_PRECONDITION' });
    fake.lead('c');
    await expect(run(step('start 2'))).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(asked).toEqual([]);
  });
});

describe('waiting for a member', () => {
  it('lasts until its server is another one and streams', async () => {
    const { run, fake, onSleep } = place();
    fake.member('b').state = 'creating replica';
    onSleep.push(
      () => undefined,
      () => fake.makeAnew('b'),
    );
    expect(await run(awaitMemberStep('b', 'start 2', 0n))).toEqual({ leader: 'a', timeline: 1, lagBytes: 0 });
    expect(onSleep).toEqual([]);
  });

  it('is not over while the old server still runs, and ends in time', async () => {
    const { run } = place();
    await expect(run(awaitMemberStep('b', 'start 2', 0n))).rejects.toMatchObject({ code: 'TIMED_OUT' });
  });
});

describe('maintenance mode', () => {
  it('ends only once Patroni has the leader that it is to have', async () => {
    const { run, fake, onSleep, asked } = place();
    await run(pauseStep('a test'));
    expect(fake.paused).toBe(true);
    fake.leader = undefined;
    onSleep.push(() => void (fake.leader = 'a'));
    await run(resumeStep('a'));
    expect(fake.paused).toBe(false);
    expect(asked).toEqual(['pause Patroni', 'resume Patroni']);
  });

  it('does not end while another one leads', async () => {
    const { run, fake } = place();
    await run(pauseStep('a test'));
    fake.lead('c');
    await expect(run(resumeStep('a'))).rejects.toMatchObject({ code: 'TIMED_OUT' });
    expect(fake.paused).toBe(true);
  });
});
