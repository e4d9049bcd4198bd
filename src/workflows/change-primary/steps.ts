import type { Fence, HeldServer } from '../../plan/change-primary-steps.ts';
import type { SetupStep } from '../../plan/setup-steps.ts';
import type { Step } from '../../plan/step.ts';
import type { BouncerToChange } from './facts.ts';
import { PROMOTION } from './intent.ts';
import { changeStep } from './step.ts';

const MINUTE_MS = 60_000;

/** Of a primary that is about to be stopped. */
export function checkpointBefore(node: string): Step {
  return changeStep(
    {
      id: 'checkpoint',
      title: `Checkpoint on ${node}`,
      reason: 'what the shutdown has still to write is little: it is time in which nobody can write',
      probe: 'none: it is only quicker so',
      timeoutMs: 30 * MINUTE_MS,
    },
    { kind: 'checkpoint', node },
  );
}

export function pauseStep({ name, databases, pauseTimeoutMs }: BouncerToChange): Step {
  return changeStep(
    {
      id: `pause-pgbouncer ${name}`,
      title: `Pause ${databases.join(', ')} of PgBouncer ${name}`,
      reason: 'transactions end, and clients wait instead of failing: from here on nobody writes through it',
      probe: 'SHOW DATABASES: paused',
      timeoutMs: pauseTimeoutMs,
      retry: 'never',
    },
    { kind: 'pause-pgbouncer', bouncer: name, databases },
  );
}

/** Where it fails the servers and their clients still find out by TCP, which takes a quarter of an hour. */
export function evictStep({ name, databases }: BouncerToChange): Step {
  return changeStep(
    {
      id: `evict-from-pgbouncer ${name}`,
      title: `Close all connections of ${databases.join(', ')} in PgBouncer ${name}, and have clients wait`,
      reason: 'whoever waits for a server that is gone would go on waiting for it',
      probe: 'SHOW DATABASES: paused',
      onFailure: 'continue',
    },
    { kind: 'evict-from-pgbouncer', bouncer: name, databases },
  );
}

export function resumeStep(name: string, databases: readonly string[]): Step {
  return changeStep(
    {
      id: `resume-pgbouncer ${name}`,
      title: `Resume ${databases.join(', ')} of PgBouncer ${name}`,
      reason: 'clients go on where they waited',
      probe: 'SHOW DATABASES: not paused',
    },
    { kind: 'resume-pgbouncer', bouncer: name, databases },
  );
}

/** `why`: for people. */
export function stopStep(server: HeldServer, mode: 'fast' | 'immediate', why: string, timeoutMs: number): Step {
  return changeStep(
    {
      id: `stop-primary ${server.node}`,
      effect: 'destructive',
      title: `Leave standby.signal in ${server.dataDirectory} and stop ${server.node}${mode === 'fast' ? '' : ' at once'}`,
      reason: why,
      probe: 'no server runs in the data directory, and standby.signal is there',
      timeoutMs,
      retry: 'never',
      on: server.node,
    },
    { kind: 'stop-primary', server, mode },
  );
}

export function promoteStep(of: {
  readonly to: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly fences: readonly Fence[];
  readonly others: readonly string[];
  readonly handedOverBy?: HeldServer;
  readonly limitMs: number;
}): Step {
  const { to: node, limitMs: timeoutMs, ...conditions } = of;
  const { fences, timeline } = conditions;
  return changeStep(
    {
      id: PROMOTION,
      effect: 'destructive',
      title: `Promote ${node}`,
      reason: fences.length === 0 ? 'nobody else is a primary' : fences.map(wordsOf).join('; '),
      probe: `it is not in recovery, on a timeline after ${timeline}`,
      timeoutMs,
      retry: 'never',
    },
    { kind: 'promote-standby', node, ...conditions },
  );
}

function wordsOf(fence: Fence): string {
  switch (fence.kind) {
    case 'stopped':
      return `${fence.server.node} is stopped and can only come back as a standby`;
    case 'command':
      return `${fence.node} was fenced by ${fence.command[0] ?? 'a command'}`;
    case 'declared':
      return `the operator has fenced ${fence.node}`;
  }
}

export function passfileStep(step: Extract<SetupStep, { kind: 'write-passfile' }>): Step {
  const words = {
    id: `write-passfile ${step.node}`,
    title: `Write the password of ${step.role} into ${step.path} (0600)`,
    reason: `${step.node} connects with it as a standby of another primary`,
    probe: 'the file has this content',
    on: step.node,
  };
  return changeStep(words, step);
}
