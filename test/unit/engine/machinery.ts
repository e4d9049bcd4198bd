import type { ExecutionContext, Workflow } from '../../../src/engine/execute-run.ts';
import type { StepHandlers, StepResult } from '../../../src/engine/step-handler.ts';
import type { Plan, StepOf } from '../../../src/plan/step.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import type { JournalEntry, RunHeader, RunId } from '../../../src/ports/run-store.ts';
import type { RunEvent } from '../../../src/telemetry/events.ts';
import { buildCluster, type FakeCluster } from '../../fakes/cluster.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

export type TestStep = StepOf<'create-repositories'>;

/** A step that does what the test says: which handler it has is all that its kind is for here. */
export function step(id: string, changes: Partial<TestStep> = {}): TestStep {
  return {
    id,
    kind: 'create-repositories',
    effect: 'write',
    title: `do ${id}`,
    reason: 'the test wants it',
    probe: 'none',
    timeoutMs: 1_000,
    retry: 'never',
    onFailure: 'stop',
    ...changes,
  };
}

export function planOf(...steps: TestStep[]): Plan {
  return { steps, warnings: [] };
}

export const RUN_ID = '20261122T211628Z-restore-k3f9' as RunId;

export function header(intent: unknown = {}): RunHeader {
  const startedAt = 1_795_382_188_000_000n as RunHeader['startedAt'];
  const trigger = { kind: 'manual' } as const;
  return {
    runId: RUN_ID,
    verb: 'restore',
    cluster: 'main',
    startedAt,
    host: 'db1',
    user: 'postgres',
    programVersion: '0.1.0',
    trigger,
    intent,
  };
}

/** The engine with a journal in memory, and one handler for all. */
export class Machinery {
  readonly cluster: FakeCluster = buildCluster();
  readonly process = new FakeProcess(this.cluster.world);
  readonly ports = fakePorts(this.process, this.cluster.cluster);
  readonly events: RunEvent[] = [];
  readonly controller = new AbortController();
  readonly #run: (step: TestStep, context: OperationContext) => Promise<StepResult>;

  constructor(run: (step: TestStep, context: OperationContext) => Promise<StepResult> = () => Promise.resolve({})) {
    this.#run = run;
  }

  /** Only the kind of step that `step` makes is ever asked for. */
  get handlers(): StepHandlers {
    const handler = { preview: () => [], run: this.#run };
    return { 'create-repositories': handler } as unknown as StepHandlers;
  }

  get context(): ExecutionContext {
    const { ports, handlers, controller } = this;
    return { ports, handlers, emit: (event) => this.events.push(event), signal: controller.signal, pid: 4711 };
  }

  kinds(): readonly string[] {
    return this.events.map(({ kind }) => kind);
  }

  /** `kind` or `kind step`, one an entry. */
  async journal(): Promise<readonly string[]> {
    return (await this.entries()).map((entry) => ('step' in entry ? `${entry.kind} ${entry.step}` : entry.kind));
  }

  async entries(): Promise<readonly JournalEntry[]> {
    return (await this.ports.runs.read(RUN_ID)).entries;
  }
}

/** A workflow that always plans the same steps. */
export function workflowOf(plan: Plan, changes: Partial<Workflow<unknown, unknown>> = {}): Workflow<unknown, unknown> {
  const claim = () => ({ verb: 'setup' as const, repositories: [] });
  return { title: 'test', claim, observe: () => Promise.resolve({}), plan: () => plan, ...changes };
}
