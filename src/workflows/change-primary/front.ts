import { SpokeError } from '../../errors.ts';
import type { Step } from '../../plan/step.ts';
import type { BouncerToChange, EndpointsText, FrontFacts } from './facts.ts';
import { changeStep } from './step.ts';
import { evictStep, pauseStep, resumeStep } from './steps.ts';

const MINUTE_MS = 60_000;

/** Throws where a PgBouncer cannot be told: it would keep its clients on a server that is gone. */
export function requireBouncers({ bouncers }: FrontFacts): void {
  const silent = bouncers.find(({ unreachable }) => unreachable !== undefined);
  if (silent === undefined) return;
  throw new SpokeError('REFUSED_PRECONDITION', `PgBouncer ${silent.name} does not answer: ${silent.unreachable ?? ''}`, {
    hint: 'Start it, or take it out of the configuration.',
  });
}

/** From here on clients wait. */
export function pauseSteps({ bouncers }: FrontFacts): readonly Step[] {
  return bouncers.filter(({ databases }) => databases.length > 0).map(pauseStep);
}

/** In which state clients are when there is a new primary. */
export interface ClientsAfter {
  readonly to: string;
  /** Databases that the plan itself pauses before. */
  readonly pausedByPlan: boolean;
  /** The old primary was not stopped while PgBouncer was paused: it may hold connections to it that nobody will ever answer. */
  readonly isGone?: boolean;
}

/** Sends those to the new primary who wait: nobody is served until then. */
export function clientSteps(after: ClientsAfter, { bouncers }: FrontFacts): readonly Step[] {
  return bouncers.flatMap((one) => bouncerSteps(one, after));
}

/** Those that were evicted wait, too. */
function bouncerSteps(bouncer: BouncerToChange, { to, pausedByPlan, isGone = false }: ClientsAfter): readonly Step[] {
  const repointed = repointWithout(bouncer, to);
  const evicts = isGone && repointed.length > 0 && bouncer.databases.length > 0;
  return [...(evicts ? [evictStep(bouncer)] : []), ...repointed, ...resumed(bouncer, pausedByPlan || evicts)];
}

/** Once the old primary is a standby, PgBouncers may send readers to it. */
export function returnSteps(to: string, { bouncers }: FrontFacts): readonly Step[] {
  return bouncers.flatMap((one) => repointWith(one, to));
}

function repointWithout(bouncer: BouncerToChange, to: string): readonly Step[] {
  const { present, wanted } = bouncer;
  return present === wanted.without || present === wanted.with ? [] : [repointStep(bouncer, to, wanted.without, '')];
}

function repointWith(bouncer: BouncerToChange, to: string): readonly Step[] {
  const { present, wanted } = bouncer;
  return present === wanted.with || wanted.without === wanted.with ? [] : [repointStep(bouncer, to, wanted.with, ' and all standbys')];
}

/** One that does not answer reads its file when it is started; nothing waits for it. */
function repointStep({ name, configFile, unreachable }: BouncerToChange, to: string, configuration: string, more: string): Step {
  return changeStep(
    {
      id: `repoint-pgbouncer ${name}${more}`,
      title: `Write ${configFile} with ${to} as the primary${more}, and have PgBouncer ${name} read it`,
      reason: 'its clients reach the new primary',
      probe: 'the file has this content',
      on: `pgbouncer:${name}`,
      onFailure: unreachable === undefined ? 'stop' : 'continue',
    },
    { kind: 'repoint-pgbouncer', bouncer: name, primary: to, configFile, configuration },
  );
}

function resumed({ name, databases, paused }: BouncerToChange, pausedByPlan: boolean): readonly Step[] {
  const waiting = pausedByPlan ? databases : databases.filter((database) => paused.includes(database));
  return waiting.length === 0 ? [] : [resumeStep(name, waiting)];
}

export function endpointSteps({ endpoints }: FrontFacts, primary: string, which: 'without' | 'with'): readonly Step[] {
  if (endpoints === undefined) return [];
  const { file, hook, wanted } = endpoints;
  const { text, values }: EndpointsText = wanted[which];
  if (wanted.with.isCurrent || wanted[which].isCurrent) return [];
  if (which === 'with' && wanted.without.text === text) return [];
  const words = {
    id: which === 'with' ? 'publish-endpoints and all standbys' : 'publish-endpoints',
    title: `Write ${file}${hook === undefined ? '' : ` and run ${hook[0] ?? ''}`}`,
    reason: `applications find the primary (${primary}) and the standbys there`,
    probe: 'the file has this content, and the hook was told of it',
    timeoutMs: 2 * MINUTE_MS,
    onFailure: 'continue' as const,
  };
  return [changeStep(words, { kind: 'publish-endpoints', primary, file, text, values: { ...values }, hook })];
}
