import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import type { ManagedService, ServiceControl } from '../../ports/service-control.ts';

const DEFAULT_TIMEOUT_MS = 5 * 60_000;

type Verb = 'start' | 'stop' | 'restart';

/** Debian's pg_ctlcluster and systemd, by argv. */
export function createServiceControl({ runner }: { readonly runner: ProcessRunner }): ServiceControl {
  return {
    startService: (service, context) => control(runner, service, 'start', context),
    stopService: (service, context) => control(runner, service, 'stop', context),
    restartService: (service, context) => control(runner, service, 'restart', context),
  };
}

async function control(runner: ProcessRunner, service: ManagedService, verb: Verb, context: OperationContext): Promise<void> {
  const [file, ...argv] = commandOf(service, verb);
  const result = await runner.run({ file, argv, signal: context.signal, timeoutMs: context.timeoutMs ?? DEFAULT_TIMEOUT_MS });
  if (result.exitCode === 0) return;
  throw new SpokeError('TOOL_FAILED', `${[file, ...argv].join(' ')} ended with exit code ${result.exitCode}`, {
    details: { outputTail: result.stderrTail || result.stdout.slice(-4096) },
  });
}

function commandOf(service: ManagedService, verb: Verb): [string, ...string[]] {
  switch (service.manager) {
    case 'pg_ctlcluster':
      return ['pg_ctlcluster', service.version, service.clusterName, verb];
    case 'systemd':
      return ['systemctl', verb, service.unit];
  }
}
