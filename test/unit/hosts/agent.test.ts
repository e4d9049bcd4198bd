import { afterEach, describe, expect, it } from 'vitest';
import { PROTOCOL_VERSION } from '../../../src/domain/hosts/protocol.ts';
import { type ServedCluster, serveAgent } from '../../../src/agent/serve.ts';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { StepHandlers } from '../../../src/engine/step-handler.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { buildCluster, NODE } from '../../fakes/cluster.ts';
import { type MemoryHost, memoryHosts, type MemoryHosts } from '../../fakes/hosts.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { step } from '../engine/machinery.ts';
import { sound } from '../workflows/restore-world.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { startIsolatedStep } from '../../../src/workflows/restore/steps.ts';

const context = { signal: new AbortController().signal, timeoutMs: 10_000 };
const opened: MemoryHosts[] = [];
afterEach(async () => {
  for (const hosts of opened.splice(0)) await hosts.close();
});

/** A host that does `create-repositories` as the test says. */
function hostThat(
  run: (context: OperationContext) => Promise<Record<string, unknown>>,
  changes: Partial<MemoryHost> & Partial<ServedCluster> = {},
) {
  const { world, cluster } = buildCluster();
  const ports = fakePorts(new FakeProcess(world), cluster);
  const handlers: StepHandlers = {
    ...createStepHandlers(ports),
    'create-repositories': { preview: () => [], run: (_step, limits) => run(limits) },
  };
  const { claim = () => Promise.resolve({ release: () => Promise.resolve() }), ...host } = changes;
  const hosts = memoryHosts({ [NODE]: { open: () => Promise.resolve({ ports, handlers, claim }), ...host } });
  opened.push(hosts);
  return hosts;
}

const work = (id = 'work') => step(id, { on: NODE });

/** Resolves when the signal is aborted, as whatever works under it does: with its reason. */
function untilAborted({ signal }: OperationContext): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
}

describe('an agent', () => {
  it('tells how far a step is', async () => {
    const hosts = hostThat((limits) => {
      limits.onProgress?.({ phase: 'copying', doneBytes: 2n ** 60n });
      return Promise.resolve({ done: true });
    });
    const told: unknown[] = [];
    expect(await hosts.runStep(work(), { ...context, onProgress: (progress) => told.push(progress) })).toEqual({ done: true });
    expect(told).toEqual([{ phase: 'copying', doneBytes: 2n ** 60n }]);
  });

  it('gives the step its time limit', async () => {
    const hosts = hostThat((limits) => Promise.resolve({ limit: limits.timeoutMs }));
    expect(await hosts.runStep(work(), { ...context, timeoutMs: 4321 })).toEqual({ limit: 4321 });
  });

  it('cancels what it is asked to, and nothing else', async () => {
    const hosts = hostThat((limits) => untilAborted(limits));
    const [one, other] = [new AbortController(), new AbortController()];
    const first = hosts.runStep(work('one'), { signal: one.signal });
    const second = hosts.runStep(work('other'), { signal: other.signal });
    const firstFails = expect(first).rejects.toMatchObject({ code: 'TERMINATED' });
    one.abort(new SpokeError('TERMINATED', 'asked to end'));
    await firstFails;
    const secondFails = expect(second).rejects.toMatchObject({ code: 'CANCELLED', message: 'now' });
    other.abort(new SpokeError('CANCELLED', 'now'));
    await secondFails;
  });

  it('that gives a step up by itself does not make the run a cancelled one', async () => {
    const hosts = hostThat(() => Promise.reject(new SpokeError('CANCELLED', 'whoever asked for it is gone')));
    await expect(hosts.runStep(work(), context)).rejects.toMatchObject({ code: 'HOST_UNREACHABLE', retry: 'transient' });
  });

  it('cancels what is under way when it is cut off, and lets go of its place only then', async () => {
    const told: string[] = [];
    const hosts = hostThat((limits) => untilAborted(limits).finally(() => told.push('the step ended')), {
      claim: () => Promise.resolve({ release: () => Promise.resolve(void told.push('the place is free')) }),
    });
    const failed = expect(hosts.runStep(work(), context)).rejects.toMatchObject({ code: 'HOST_UNREACHABLE' });
    await expect.poll(() => hosts.agentCount).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    hosts.cut();
    await failed;
    await expect.poll(() => told).toEqual(['the step ended', 'the place is free']);
  });

  it('ends when it hears nothing for too long', async () => {
    async function* silence() {
      await new Promise(() => {});
      yield new Uint8Array();
    }
    const parts = { write: () => {}, version: '0.1.0', hostname: 'db2', open: () => Promise.reject(new Error('nobody asked')) };
    const ended = serveAgent({ ...parts, input: silence(), signal: new AbortController().signal, silenceLimitMs: 20 });
    await expect(ended).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('does steps only once it has its place, and says who has it', async () => {
    const hosts = hostThat(() => Promise.resolve({}), { claim: () => Promise.reject(new SpokeError('LOCKED', 'process 7 works on it')) });
    await expect(hosts.runStep(work(), context)).rejects.toMatchObject({ code: 'LOCKED' });
    expect(await (await hosts.look(NODE, context)).instance.findFreePort()).toBeGreaterThan(0);
  });

  it('refuses a step for another node', async () => {
    const { world, cluster } = buildCluster();
    const ports = fakePorts(new FakeProcess(world), cluster);
    const said = await conversation(ports, [
      { id: 1, request: 'hello', protocol: PROTOCOL_VERSION, node: NODE },
      { id: 2, request: 'run-step', step: step('x', { on: 'replica-1' }) },
    ]);
    expect(said).toMatchObject([
      { id: 1, result: { protocol: PROTOCOL_VERSION } },
      { id: 2, error: { code: 'TOOL_UNSUPPORTED' } },
    ]);
  });

  it('refuses another version of the protocol, requests before hello, and what it does not know', async () => {
    const { world, cluster } = buildCluster();
    const ports = fakePorts(new FakeProcess(world), cluster);
    const said = await conversation(ports, [
      { id: 1, request: 'hello', protocol: 99, node: NODE },
      { id: 2, request: 'inspect', what: 'findFreePort', of: [] },
      { id: 3, request: 'format-disk' },
    ]);
    expect(said.map((one) => [one.id, one.error?.code])).toEqual([
      [1, 'TOOL_UNSUPPORTED'],
      [2, 'TOOL_UNSUPPORTED'],
      [3, 'TOOL_UNSUPPORTED'],
    ]);
  });

  it('refuses questions that are not as they must be', async () => {
    const { world, cluster } = buildCluster();
    const ports = fakePorts(new FakeProcess(world), cluster);
    const said = await conversation(ports, [
      { id: 1, request: 'hello', protocol: PROTOCOL_VERSION, node: NODE },
      { id: 2, request: 'inspect', what: 'constructor', of: [] },
      { id: 3, request: 'inspect', what: 'readFileTail', of: ['relative', 10] },
      { id: 4, request: 'inspect', what: 'listFiles', of: ['/a', '/b'] },
    ]);
    expect(said.slice(1).map(({ error }) => error?.code)).toEqual(['TOOL_UNSUPPORTED', 'USAGE', 'USAGE']);
  });

  it('ends with an error where somebody types', async () => {
    const { world, cluster } = buildCluster();
    await expect(conversation(fakePorts(new FakeProcess(world), cluster), ['hello?'])).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('stops a server that replays beside when its connection ends', async () => {
    const { world, cluster, request, observed } = await sound({ destination: { kind: 'in-place', node: NODE } });
    const ports = fakePorts(new FakeProcess(world), cluster);
    const ended: string[] = [];
    const handlers: StepHandlers = {
      ...createStepHandlers(ports),
      'start-isolated': { preview: () => [], run: () => Promise.reject(new SpokeError('POSTGRES_FAILED', 'it may run all the same')) },
      'end-isolated': { preview: () => [], run: (one) => Promise.resolve({ ended: ended.push(one.server.area.root) }) },
    };
    const hosts = memoryHosts({
      [NODE]: { open: () => Promise.resolve({ ports, handlers, claim: () => Promise.resolve({ release: async () => {} }) }) },
    });
    const intent = decideRestore(request, observed);
    const [candidate] = intent.candidates;
    if (candidate === undefined) throw new Error('no candidate');
    const start = { ...startIsolatedStep(intent, candidate), on: NODE };
    await expect(hosts.runStep(start, context)).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
    await hosts.close();
    expect(ended).toEqual([intent.area.root]);
  });
});

interface Said {
  readonly id: number;
  readonly error?: { readonly code: string };
}

/** What an agent says to these lines, once each was answered. */
async function conversation(ports: ReturnType<typeof fakePorts>, lines: readonly unknown[]): Promise<readonly Said[]> {
  const said: Said[] = [];
  const cluster = { ports, handlers: createStepHandlers(ports), claim: () => Promise.resolve({ release: () => Promise.resolve() }) };
  async function* input() {
    for (const [index, line] of lines.entries()) {
      yield new TextEncoder().encode(`${JSON.stringify(line)}\n`);
      await expect.poll(() => said.length, { interval: 1 }).toBe(index + 1);
    }
  }
  const parts = { version: '0.1.0', hostname: 'db2', open: () => Promise.resolve(cluster), signal: new AbortController().signal };
  await serveAgent({ ...parts, input: input(), write: (line) => said.push(JSON.parse(line) as Said) });
  return said;
}
