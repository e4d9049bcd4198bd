import { untilAborted } from '../domain/blob/until-aborted.ts';
import { linesOf } from '../domain/hosts/lines.ts';
import {
  encodeMessage,
  errorToMessage,
  type HostAnswer,
  type HostHello,
  type HostRequest,
  PROTOCOL_VERSION,
  SILENCE_LIMIT_MS,
} from '../domain/hosts/protocol.ts';
import type { StepHandler, StepHandlers, StepResult } from '../engine/step-handler.ts';
import { SpokeError } from '../errors.ts';
import type { Step, StepKind, StepOf } from '../plan/step.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { HostEngine } from '../ports/hosts.ts';
import type { OperationContext } from '../ports/operation.ts';
import { inspect } from './inspections.ts';
import { IsolatedServers } from './isolated-servers.ts';
import { readRequest } from './requests.ts';
import { parseStep } from './step-shapes.ts';

/** The cluster on this host, as it is configured here. */
export interface ServedCluster {
  readonly ports: ReadPorts & WritePorts;
  readonly handlers: StepHandlers;
  /** Keeps every other agent from doing steps for the same place; waits for one that is on its way out. Throws LOCKED. */
  claim(signal: AbortSignal): Promise<{ release(): Promise<void> }>;
}

export interface AgentParts {
  readonly input: AsyncIterable<Uint8Array>;
  write(line: string): void;
  readonly version: string;
  readonly hostname: string;
  /** Loads the configuration of this host for the node that lives here (null: none that is a node). */
  open(node: string | null): Promise<ServedCluster>;
  readonly signal: AbortSignal;
  readonly silenceLimitMs?: number;
}

type Asked<R extends HostRequest['request']> = Extract<HostRequest, { readonly request: R }>;

/**
 * Does for another spoke-backup what is to be looked at and done on this host, until its input ends, it is told to end, or nothing has been
 * heard for so long that nobody can be there any more. Then nothing runs any more that it had started, but for servers in their place.
 */
export async function serveAgent(parts: AgentParts): Promise<void> {
  const over = new AbortController();
  const silence = parts.silenceLimitMs ?? SILENCE_LIMIT_MS;
  const giveUp = () => over.abort(new SpokeError('CANCELLED', `nothing was heard for ${silence / 1000} s`));
  let timer = setTimeout(giveUp, silence);
  const agent = new Agent(parts);
  try {
    for await (const line of untilAborted(linesOf(parts.input), AbortSignal.any([parts.signal, over.signal]))) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, silence);
      agent.hear(line);
    }
  } finally {
    clearTimeout(timer);
    await agent.end();
  }
}

interface Running {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

class Agent {
  readonly #parts: AgentParts;
  readonly #running = new Map<number, Running>();
  readonly #isolated = new IsolatedServers();
  #served: { readonly node: string | null; readonly cluster: ServedCluster } | undefined;
  #claim: Promise<{ release(): Promise<void> }> | undefined;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /** Begins what a line asks for; the answer comes when it is there. */
  hear(line: string): void {
    const asked = readRequest(line);
    if (asked.request === 'ping') return;
    if (asked.request === 'cancel') {
      this.#running.get(asked.id)?.cancel.abort(new SpokeError('CANCELLED', 'cancelled'));
      return;
    }
    const cancel = new AbortController();
    const done = this.#answer(asked, cancel.signal).finally(() => this.#running.delete(asked.id));
    this.#running.set(asked.id, { cancel, done });
  }

  /** What is under way is cancelled, and waited for; servers that replay beside are stopped. */
  async end(): Promise<void> {
    for (const { cancel } of this.#running.values()) cancel.abort(new SpokeError('CANCELLED', 'whoever asked for it is gone'));
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    if (this.#served !== undefined) await this.#isolated.endAll(this.#served.cluster.handlers);
    const claim = await this.#claim?.catch(() => undefined);
    await claim?.release();
  }

  async #answer(asked: Exclude<ReturnType<typeof readRequest>, Asked<'ping' | 'cancel'>>, signal: AbortSignal): Promise<void> {
    const { id } = asked;
    try {
      this.#write({ id, result: (await this.#do(asked, signal)) ?? null });
    } catch (thrown) {
      this.#write({ id, error: errorToMessage(thrown) });
    }
  }

  #do(asked: Exclude<ReturnType<typeof readRequest>, Asked<'ping' | 'cancel'>>, signal: AbortSignal): Promise<unknown> {
    switch (asked.request) {
      case 'hello':
        return this.#hello(asked);
      case 'inspect':
        return inspect(asked.what, asked.of, this.#cluster.ports.instance, contextOf(asked, signal));
      case 'engine':
        return observeEngine(asked.postgresMajor, this.#cluster.ports);
      case 'preview': {
        const step = this.#stepOf(asked.step);
        return Promise.resolve(handlerOf(this.#cluster, step).preview(step as StepOf<StepKind>));
      }
      case 'run-step':
        return this.#runStep(this.#stepOf(asked.step), {
          ...contextOf(asked, signal),
          onProgress: (progress) => this.#write({ id: asked.id, progress }),
        });
      case undefined:
        throw new SpokeError('TOOL_UNSUPPORTED', 'that is no request that is known here');
    }
  }

  async #hello({ protocol, node }: Asked<'hello'>): Promise<HostHello> {
    const { version, hostname } = this.#parts;
    if (protocol !== PROTOCOL_VERSION)
      throw new SpokeError('TOOL_UNSUPPORTED', `spoke-backup ${version} speaks protocol ${PROTOCOL_VERSION}, and not ${protocol}`, {
        hint: 'Install the same version of spoke-backup on every host.',
      });
    if (this.#served !== undefined) throw new SpokeError('TOOL_UNSUPPORTED', 'there was a hello before');
    const cluster = await this.#parts.open(node);
    this.#served = { node, cluster };
    return { protocol, version, host: hostname, user: cluster.ports.instance.currentUser() };
  }

  get #cluster(): ServedCluster {
    if (this.#served === undefined) throw new SpokeError('TOOL_UNSUPPORTED', 'hello has to come first');
    return this.#served.cluster;
  }

  /** The step, if it is for this place. */
  #stepOf(sent: unknown): Step {
    const step = parseStep(sent);
    const here = this.#served?.node ?? null;
    if (here === null || step.on === here) return step;
    throw new SpokeError('TOOL_UNSUPPORTED', `the step ${step.id} is for ${String(step.on)}, and this is ${here}`);
  }

  async #runStep(step: Step, context: OperationContext): Promise<StepResult> {
    const cluster = this.#cluster;
    await this.#claimed(cluster, context.signal);
    this.#isolated.before(step);
    const result = await handlerOf(cluster, step).run(step, context);
    this.#isolated.after(step);
    return result;
  }

  /** Taken with the first step. Where that fails the next one tries again. */
  async #claimed(cluster: ServedCluster, signal: AbortSignal): Promise<void> {
    this.#claim ??= cluster.claim(signal);
    try {
      await this.#claim;
    } catch (thrown) {
      this.#claim = undefined;
      throw thrown;
    }
  }

  #write(answer: HostAnswer): void {
    this.#parts.write(encodeMessage(answer));
  }
}

function contextOf({ timeoutMs }: { readonly timeoutMs?: number }, signal: AbortSignal): OperationContext {
  return timeoutMs === undefined ? { signal } : { signal, timeoutMs };
}

async function observeEngine(postgresMajor: number | null, { engine, catalog }: ReadPorts & WritePorts): Promise<HostEngine> {
  return {
    archivingSettings: engine.archivingSettings(),
    backupSettings: postgresMajor === null ? {} : engine.backupSettings(postgresMajor),
    isConfigurationCurrent: await catalog.isConfigurationCurrent(),
  };
}

function handlerOf({ handlers }: ServedCluster, { kind }: Step): StepHandler<StepKind> {
  return handlers[kind] as unknown as StepHandler<StepKind>;
}
