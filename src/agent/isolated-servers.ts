import type { StepHandlers } from '../engine/step-handler.ts';
import type { IsolatedServer, Step } from '../plan/step.ts';

const LIMIT_MS = 60_000;

/** The servers beside that steps have started and not yet stopped: they outlive the step, and must not outlive the agent. */
export class IsolatedServers {
  readonly #servers = new Map<string, Omit<IsolatedServer, 'superusers'>>();

  /** Before it starts one: it may be there although the step fails. */
  before(step: Step): void {
    if (step.kind === 'start-isolated' || step.kind === 'prove-target') this.#servers.set(step.server.area.root, step.server);
  }

  /** Once it has stopped one. */
  after(step: Step): void {
    const stops = step.kind === 'stop-isolated' || step.kind === 'end-isolated' || step.kind === 'discard-restore-area';
    if (stops) this.#servers.delete(step.server.area.root);
  }

  async endAll(handlers: StepHandlers): Promise<void> {
    for (const server of this.#servers.values()) {
      const limits = { signal: AbortSignal.timeout(LIMIT_MS), timeoutMs: LIMIT_MS };
      // It must not keep the others from being ended. Whoever resumes the run looks again.
      await handlers['end-isolated'].run(endingStep(server), limits).catch(() => {});
    }
    this.#servers.clear();
  }
}

function endingStep(server: Omit<IsolatedServer, 'superusers'>) {
  return {
    id: 'end-isolated',
    kind: 'end-isolated',
    effect: 'write',
    title: 'End the isolated server',
    reason: 'the connection has ended',
    probe: `no server runs in ${server.area.dataDirectory}`,
    timeoutMs: LIMIT_MS,
    retry: 'never',
    onFailure: 'continue',
    server: { area: server.area, owner: server.owner, postgresMajor: server.postgresMajor },
  } as const;
}
