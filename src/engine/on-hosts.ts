import { SpokeError } from '../errors.ts';
import type { Plan, Step, StepKind } from '../plan/step.ts';
import type { CommandPreview } from '../ports/backup-engine.ts';
import type { HostControl, HostReader } from '../ports/hosts.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StepHandler, StepHandlers } from './step-handler.ts';

/** How other hosts are reached. */
export interface HostPorts {
  readonly hosts: HostReader;
  readonly hostControl: HostControl;
}

/** The handlers of this host, but for steps on a place that is on another one: those are sent there. */
export function withHosts(handlers: StepHandlers, ports: HostPorts): StepHandlers {
  return mapHandlers(handlers, (handler) => ({
    preview: (step) => (isElsewhere(step, ports.hosts) ? onPlace(step, handler.preview(step)) : handler.preview(step)),
    run: (step, context) => (isElsewhere(step, ports.hosts) ? ports.hostControl.runStep(step, context) : handler.run(step, context)),
  }));
}

/** The same handlers, which show for the steps of this plan what the hosts said that they would do; those are asked once, now. */
export async function withPreviewsOfHosts(
  plan: Plan,
  handlers: StepHandlers,
  hosts: HostReader,
  context: OperationContext,
): Promise<StepHandlers> {
  const previews = new Map<Step, readonly CommandPreview[]>();
  for (const step of plan.steps) {
    if (!isElsewhere(step, hosts)) continue;
    const view = await hosts.look(step.on, context);
    previews.set(step, onPlace(step, await view.preview(step, context)));
  }
  if (previews.size === 0) return handlers;
  return mapHandlers(handlers, (handler) => ({ ...handler, preview: (step) => previews.get(step) ?? handler.preview(step) }));
}

/** Does a step outside of a plan where it belongs. */
export function runWhereItBelongs(step: Step, handlers: StepHandlers, context: OperationContext): Promise<unknown> {
  return (handlers[step.kind] as unknown as StepHandler<StepKind>).run(step, context);
}

function isElsewhere(step: Step, hosts: HostReader): step is Step & { readonly on: string } {
  return step.on !== undefined && hosts.isElsewhere(step.on);
}

/** As one sees where it is done. */
function onPlace({ on }: Step, previews: readonly CommandPreview[]): readonly CommandPreview[] {
  return previews.map(({ argv }) => ({ argv: [`(on ${String(on)})`, ...argv] }));
}

function mapHandlers(handlers: StepHandlers, wrap: (handler: StepHandler<StepKind>) => StepHandler<StepKind>): StepHandlers {
  const entries = Object.entries(handlers).map(([kind, handler]) => [kind, wrap(handler as unknown as StepHandler<StepKind>)] as const);
  return Object.fromEntries(entries) as unknown as StepHandlers;
}

/** Where there is no other host. */
export const NO_OTHER_HOSTS: HostPorts = {
  hosts: { isElsewhere: () => false, look: (place) => Promise.reject(onThisHost(place)) },
  hostControl: { runStep: ({ on }) => Promise.reject(onThisHost(String(on))) },
};

function onThisHost(place: string): SpokeError {
  return new SpokeError('USAGE', `${place} is on this host`);
}
