import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { reseedWorkflow } from '../../src/engine/reseed-workflow.ts';
import { asSpokeError, type SpokeError } from '../../src/errors.ts';
import type { Step } from '../../src/plan/step.ts';
import type { ReadPorts, WritePorts } from '../../src/ports/bundle.ts';
import type { RunHeader, RunId } from '../../src/ports/run-store.ts';
import { observeReseed } from '../../src/workflows/reseed/facts.ts';
import { planReseed } from '../../src/workflows/reseed/plan.ts';
import { fakePorts, fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import type { ReseedStory } from './reseed-scenario.ts';
import { differenceOf } from './restore-run.ts';

export const RESEED_RUN = '20261125T120000Z-reseed-k3f9' as RunId;

export interface ReseedAttempt {
  readonly end: { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: SpokeError } | { readonly kind: 'died' };
  readonly process: FakeProcess;
  /** Where a plan made after a step was not the rest of the plan before it. */
  readonly strayPlans: readonly string[];
}

/** One process that runs the run, from its beginning or from wherever the last one came to. */
export async function attemptReseed(
  story: ReseedStory,
  disturbances: ReadonlyMap<number, Disturbance> = new Map(),
): Promise<ReseedAttempt> {
  const process = new FakeProcess(story.world, { disturbances });
  const strayPlans: string[] = [];
  let steps: readonly Step[] = [];
  const ports = withTailCheck(fakePorts(process, story.cluster), story, () => steps, strayPlans);
  const emit: Parameters<typeof executeRun>[2]['emit'] = (event) => {
    if (event.kind === 'plan-made') steps = event.steps;
  };
  const context = { ports, handlers: createStepHandlers(ports), emit, signal: process.signal, pid: process.pid };
  try {
    await executeRun(reseedWorkflow(story.cluster, ports), headerOf(story), context);
    return { end: { kind: 'done' }, process, strayPlans };
  } catch (thrown) {
    const end = process.isAlive ? ({ kind: 'failed', error: asSpokeError(thrown) } as const) : ({ kind: 'died' } as const);
    return { end, process, strayPlans };
  }
}

export function headerOf({ intent }: ReseedStory): RunHeader {
  return {
    runId: RESEED_RUN,
    verb: 'reseed',
    cluster: intent.cluster,
    startedAt: 1_795_382_188_000_000n as RunHeader['startedAt'],
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
  { world, cluster, intent }: ReseedStory,
  steps: () => readonly Step[],
  stray: string[],
): ReadPorts & WritePorts {
  const observer = fakeReadPorts(new FakeProcess(world), cluster);
  const append: WritePorts['runWriter']['append'] = async (runId, entry) => {
    await ports.runWriter.append(runId, entry);
    if (entry.kind !== 'step-finished') return;
    const before = steps();
    const index = before.findIndex((step) => step.id === entry.step);
    const run = await observer.runs.read(runId);
    const facts = await observeReseed(cluster, intent, run, observer, { signal: new AbortController().signal });
    const difference = differenceOf(before.slice(index + 1), planReseed(intent, facts, runId).steps);
    if (difference !== undefined) stray.push(`after ${entry.step}: ${difference}`);
  };
  return { ...ports, runWriter: { ...ports.runWriter, append } };
}
