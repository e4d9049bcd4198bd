import type { StepHandlers, StepHandler } from '../../engine/step-handler.ts';
import type { Plan, Step, StepOf } from '../../plan/step.ts';
import type { CommandPreview } from '../../ports/backup-engine.ts';

/** The commands that a step would run. */
export function previewStep<S extends Step>(step: S, handlers: StepHandlers): readonly CommandPreview[] {
  const handler = handlers[step.kind] as StepHandler<S['kind']>;
  return handler.preview(step as unknown as StepOf<S['kind']>);
}

/** Every step with its effect; in full with its reason and exact commands. */
export function renderPlan(plan: Plan, handlers: StepHandlers, { full }: { readonly full: boolean }): string {
  const steps = plan.steps.map((step, index) => {
    const line = `${String(index + 1).padStart(2)}. [${step.effect}] ${step.title}`;
    if (!full) return line;
    const commands = previewStep(step, handlers).map((command) => `      $ ${command.argv.map(quoteForShowing).join(' ')}`);
    return [line, `      because ${step.reason}`, ...commands].join('\n');
  });
  return [...steps, ...plan.warnings.map((warning) => `    note: ${warning}`)].join('\n');
}

/** The plan as JSON. */
export function planToJson(plan: Plan, handlers: StepHandlers) {
  return {
    steps: plan.steps.map((step) => ({
      id: step.id,
      kind: step.kind,
      effect: step.effect,
      title: step.title,
      reason: step.reason,
      probe: step.probe,
      commands: previewStep(step, handlers).map((command) => command.argv),
    })),
    warnings: plan.warnings,
  };
}

/** As one would type it in a shell; only shown, never run by one. */
function quoteForShowing(argument: string): string {
  return /^[\w@%+=:,./()-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
