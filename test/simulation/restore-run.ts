import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { workflowOfRestore } from '../../src/engine/restore-cluster-workflow.ts';
import { asSpokeError, type SpokeError } from '../../src/errors.ts';
import type { Step } from '../../src/plan/step.ts';
import type { ReadPorts, WritePorts } from '../../src/ports/bundle.ts';
import type { RunHeader, RunId } from '../../src/ports/run-store.ts';
import type { RunEvent } from '../../src/telemetry/events.ts';
import type { RestoreIntent } from '../../src/workflows/restore/intent.ts';
import { fakePorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import type { RestoreStory } from './restore-scenario.ts';

export const RUN_ID = '20261122T211628Z-restore-k3f9' as RunId;

/** How one attempt ended, and what it went through. */
export interface Attempt {
  readonly end: { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: SpokeError } | { readonly kind: 'died' };
  readonly process: FakeProcess;
  readonly events: readonly RunEvent[];
  /** Where a plan made after a step was not the rest of the plan before it. */
  readonly strayPlans: readonly string[];
}

/** One process that runs the run, from its beginning or from wherever the last one came to. */
export async function attemptRestore(
  story: RestoreStory,
  options: { readonly disturbances?: ReadonlyMap<number, Disturbance>; readonly checkTails?: boolean } = {},
): Promise<Attempt> {
  const process = new FakeProcess(story.world, options.disturbances === undefined ? {} : { disturbances: options.disturbances });
  const events: RunEvent[] = [];
  const strayPlans: string[] = [];
  let steps: readonly Step[] = [];
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.kind === 'plan-made') steps = event.steps;
  };
  const real = fakePorts(process, story.cluster);
  const ports = options.checkTails === true ? withTailCheck(real, story, () => steps, strayPlans) : real;
  const context = { ports, handlers: createStepHandlers(ports), emit, signal: process.signal, pid: process.pid };
  try {
    await executeRun(workflowOfRestore(story.intent, story.cluster, ports), headerOf(story.intent), context);
    return { end: { kind: 'done' }, process, events, strayPlans };
  } catch (thrown) {
    const end = process.isAlive ? ({ kind: 'failed', error: asSpokeError(thrown) } as const) : ({ kind: 'died' } as const);
    return { end, process, events, strayPlans };
  }
}

export function headerOf(intent: RestoreIntent): RunHeader {
  const startedAt = 1_795_382_188_000_000n as RunHeader['startedAt'];
  return {
    runId: RUN_ID,
    verb: 'restore',
    cluster: intent.cluster,
    startedAt,
    host: 'db1',
    user: 'postgres',
    programVersion: '0.1.0',
    trigger: { kind: 'manual' },
    intent,
  };
}

/** After each step that is journalled as finished, observes and plans again: that must give the rest of the plan. */
function withTailCheck(
  ports: ReadPorts & WritePorts,
  story: RestoreStory,
  steps: () => readonly Step[],
  stray: string[],
): ReadPorts & WritePorts {
  const observer = fakePorts(new FakeProcess(story.world), story.cluster);
  const workflow = workflowOfRestore(story.intent, story.cluster, observer);
  const append: WritePorts['runWriter']['append'] = async (runId, entry) => {
    await ports.runWriter.append(runId, entry);
    if (entry.kind !== 'step-finished') return;
    const before = steps();
    const index = before.findIndex((step) => step.id === entry.step);
    const facts = await workflow.observe(story.intent, await observer.runs.read(runId), { signal: new AbortController().signal });
    const after = workflow.plan(story.intent, facts, runId).steps;
    const difference = differenceOf(before.slice(index + 1), after);
    if (difference !== undefined) stray.push(`after ${entry.step}: ${difference}`);
  };
  return { ...ports, runWriter: { ...ports.runWriter, append } };
}

/** What only reads may be done once more, and may not be left out; and PgBouncer is told each time, which shows not what it has read. */
export function differenceOf(expected: readonly Step[], actual: readonly Step[]): string | undefined {
  const isRepeatable = ({ effect, kind }: Step) => effect === 'read' || kind === 'write-pgbouncer' || kind === 'reload-pgbouncer';
  const ids = (all: readonly Step[], wanted: boolean) => all.filter((step) => isRepeatable(step) === wanted).map((step) => step.id);
  const sameChanges = ids(expected, false).join() === ids(actual, false).join();
  const repeatableKept = ids(expected, true).every((id) => ids(actual, true).includes(id));
  return sameChanges && repeatableKept
    ? undefined
    : `expected ${expected.map((step) => step.id).join()}, planned ${actual.map((step) => step.id).join()}`;
}
