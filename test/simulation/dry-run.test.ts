import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planToJson, renderPlan } from '../../src/cli/render/plan.ts';
import { intentToJson, renderRestorePlan } from '../../src/cli/render/restore.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { observeRestore } from '../../src/workflows/restore/facts.ts';
import { planRestore } from '../../src/workflows/restore/plan.ts';
import { observeStatus } from '../../src/workflows/status/status.ts';
import { readOnlyPorts } from '../fakes/ports.ts';
import { FakeProcess } from '../fakes/process.ts';
import { attemptRestore, headerOf } from './restore-run.ts';
import { restoreScenario, type RestoreScenario, share, tellRestore } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

/** Everything that a dry run does, on ports that throw where anything would be changed. */
async function play(scenario: RestoreScenario, place: number): Promise<void> {
  const story = await tellRestore(scenario);
  if (story === undefined) return;
  const { intent, world, cluster } = story;
  const { runId } = headerOf(intent);
  // Also of a run that has died somewhere on its way.
  const died = await attemptRestore(story, { disturbances: new Map([[1 + Math.floor(place * 80), { kind: 'crash', moment: 'during' }]]) });
  const before = world.snapshot();

  const ports = readOnlyPorts(new FakeProcess(world), cluster);
  const context = { signal: new AbortController().signal };
  const run = world.runs.has(runId) ? await ports.runs.read(runId) : { header: headerOf(intent), entries: [] };
  const handlers = createStepHandlers(ports);
  const facts = await observeRestore(intent, run, ports, context);
  const isLeft = died.end.kind === 'died';
  if (isLeft) {
    const plan = planRestore(intent, facts, runId);
    const at = { now: world.now(), timezone: 'Europe/Paris', full: true };
    expect(renderRestorePlan(intent, plan, handlers, at)).toContain(renderPlan(plan, handlers, at));
    const shown = JSON.stringify({ ...intentToJson(intent), plan: planToJson(plan, handlers) });
    for (const step of plan.steps) expect(shown).toContain(JSON.stringify(step.title));
  }
  await observeStatus(cluster, { expectedArchiveCommand: undefined }, ports, context);
  expect(world.snapshot()).toEqual(before);
}

describe('a look at a restore', () => {
  it('changes nothing at all, before it begins and wherever it has died', async () => {
    await fc.assert(fc.asyncProperty(restoreScenario, share, play), simulation(300));
  });
});
