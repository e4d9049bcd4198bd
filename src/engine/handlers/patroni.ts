import { leaderOf, type PatroniMember, type PatroniMemberState, type PatroniView, runs } from '../../domain/patroni/view.ts';
import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { PatroniControl, PatroniReader } from '../../ports/patroni.ts';
import type { StepResult } from '../step-handler.ts';
import { ifItAnswers } from './connect.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const POLL_MS = 250;

type Kinds = 'pause-patroni' | 'resume-patroni' | 'switch-leader' | 'reinitialize-member' | 'await-member';

/** What is asked of Patroni. Each looks first: what has been done, by whomever, is not asked for again. */
export function patroniHandlers(ports: HandlerPorts): HandlersOf<Kinds> {
  return {
    'pause-patroni': {
      preview: () => [{ argv: ['(patroni)', 'PATCH', '/config', '{"pause": true}'] }],
      run: async (_step, context) => {
        await patroniOf(ports).setPaused(true, context);
        return {};
      },
    },
    'resume-patroni': {
      preview: () => [{ argv: ['(patroni)', 'PATCH', '/config', '{"pause": null}'] }],
      run: async ({ leader }, context) => {
        if (leader !== null) await untilItLeads(leader, ports, context);
        await patroniOf(ports).setPaused(false, context);
        return {};
      },
    },
    'switch-leader': {
      preview: ({ verb, from, to }) => {
        const body = from === null || verb === 'failover' ? { candidate: to } : { leader: from, candidate: to };
        return [{ argv: ['(patroni)', 'POST', `/${verb}`, JSON.stringify(body)] }];
      },
      run: (step, context) => switchLeader(step, ports, context),
    },
    'reinitialize-member': {
      preview: ({ member }) => [{ argv: [`(patroni ${member})`, 'POST', '/reinitialize'] }],
      run: (step, context) => reinitialize(step, ports, context),
    },
    'await-member': {
      preview: ({ member }) => [{ argv: [`(patroni ${member})`, 'GET', '/patroni'] }],
      run: (step, context) => awaitMember(step, ports, context),
    },
  };
}

/** Throws CONFIG_INVALID where the cluster has none (any more). */
function patroniOf({ patroni, patroniControl }: HandlerPorts): PatroniReader & PatroniControl {
  if (patroni !== undefined && patroniControl !== undefined) return { ...patroni, ...patroniControl };
  throw new SpokeError('CONFIG_INVALID', 'the cluster has no patroni in the configuration any more');
}

/** Throws PATRONI_UNAVAILABLE where Patroni decides nothing, since its configuration store is away. */
async function observe(ports: HandlerPorts, context: OperationContext): Promise<PatroniView> {
  const view = await patroniOf(ports).observe(context);
  if (view.storeFault === undefined) return view;
  throw new SpokeError('PATRONI_UNAVAILABLE', `Patroni cannot reach its configuration store: ${view.storeFault}`);
}

async function switchLeader(step: StepOf<'switch-leader'>, ports: HandlerPorts, context: OperationContext): Promise<StepResult> {
  const { verb, from, to } = step;
  const leader = leaderOf(await observe(ports, context)) ?? null;
  const handsOver = verb === 'switchover' && from !== null;
  const ready = handsOver ? await untilReadyToHandOver({ ...step, from }, ports, context) : requireAsPlanned(step, leader);
  if (ready === 'to be asked') {
    const patroni = patroniOf(ports);
    const asking = handsOver ? patroni.switchover({ leader: from, candidate: to }, context) : patroni.failover(to, context);
    await asking.catch(unlessUnderWay);
  }
  return untilItAcceptsWrites(step, ports, context);
}

/**
 * In the middle of a change that was asked for before, by a process that died, nobody leads for a moment, or the old leader is on its way
 * down: what comes of it is waited for. Throws PLAN_STALE where the candidate has ceased to stream from a leader that runs: what it lacks would be lost.
 */
function untilReadyToHandOver(
  step: StepOf<'switch-leader'> & { readonly from: string },
  ports: HandlerPorts,
  context: OperationContext,
): Promise<Readiness> {
  const { from, to } = step;
  return until(`${to} leads, or ${from} can hand over`, ports, context, async () => {
    const leader = leaderOf(await observe(ports, context));
    if (leader === undefined) return undefined;
    if (requireAsPlanned(step, leader) === 'done') return 'done';
    const state = await patroniOf(ports).observeMember(from, context);
    if (!runs(state)) return undefined;
    if (state.streamedBy.includes(to)) return 'to be asked';
    throw new SpokeError('PLAN_STALE', `${to} does not stream from ${from} any more: what it lacks would be lost`, {
      hint: 'See: spoke-backup status',
    });
  });
}

type Readiness = 'done' | 'to be asked';

/** Of another leader, and of one that was replaced and has come back, nothing is asked. */
function requireAsPlanned({ from, to, timeline }: StepOf<'switch-leader'>, leader: PatroniMember | null): Readiness {
  if (leader?.name === to) return 'done';
  if (leader === null || (leader.name === from && (leader.timeline ?? timeline) <= timeline)) return 'to be asked';
  const now = leader.name === from ? `${from} leads on timeline ${leader.timeline ?? '?'} now` : `${leader.name} leads now`;
  throw new SpokeError('PLAN_STALE', `${now}, not ${from ?? 'nobody'} on timeline ${timeline}: nothing is done`, {
    hint: 'See: spoke-backup status',
  });
}

/** Patroni waits for some seconds only, and for the lock of a leader that died longer: what came of it the server itself tells. */
function unlessUnderWay(thrown: unknown): void {
  if (!(thrown instanceof SpokeError) || thrown.details['isUnderWay'] !== true) throw thrown;
}

/** Patroni says that it leads once it holds the lock, which is a little before PostgreSQL is promoted. */
async function untilItAcceptsWrites(
  { node, to, timeline }: StepOf<'switch-leader'>,
  ports: HandlerPorts,
  context: OperationContext,
): Promise<StepResult> {
  const address = await ports.access.addressOf(node);
  if (address === undefined) return { leader: to };
  return until(`${node} accepts writes`, ports, context, async () => {
    const state = await ifItAnswers(ports.postgres.observeRecovery(address, { signal: context.signal }));
    if (state === undefined || state.inRecovery || state.timeline <= timeline) return undefined;
    return { leader: to, timeline: state.timeline };
  });
}

async function untilItLeads(leader: string, ports: HandlerPorts, context: OperationContext): Promise<void> {
  await until(`Patroni takes ${leader} for the leader`, ports, context, async () => {
    return leaderOf(await observe(ports, context))?.name === leader ? true : undefined;
  });
}

async function reinitialize(
  { member, leader, startedAt }: StepOf<'reinitialize-member'>,
  ports: HandlerPorts,
  context: OperationContext,
): Promise<StepResult> {
  const patroni = patroniOf(ports);
  const now = leaderOf(await observe(ports, context))?.name;
  if (now === member)
    throw new SpokeError('REFUSED_PRECONDITION', `${member} leads now: it is not thrown away`, { hint: 'See: spoke-backup status' });
  if (now !== leader) throw new SpokeError('PLAN_STALE', `${now ?? 'nobody'} leads now, not ${leader}`);
  if (isAnother(await patroni.observeMember(member, context), startedAt)) return { alreadyDone: true };
  await patroni.reinitialize(member, context);
  return {};
}

/** A server runs, and it is not the one that was started then. */
function isAnother(state: PatroniMemberState, startedAt: string | null): boolean {
  return runs(state) && state.startedAt !== undefined && state.startedAt !== startedAt;
}

async function awaitMember(
  { member, startedAt, maxLagBytes }: StepOf<'await-member'>,
  ports: HandlerPorts,
  context: OperationContext,
): Promise<StepResult> {
  const patroni = patroniOf(ports);
  const { signal } = context;
  return until(`${member} streams`, ports, context, async () => {
    const leader = leaderOf(await observe(ports, { signal }));
    if (leader === undefined || leader.name === member) return undefined;
    const state = await patroni.observeMember(member, { signal });
    const source = await patroni.observeMember(leader.name, { signal });
    context.onProgress?.({ phase: `${member}: ${state.state}` });
    if (!isAnother(state, startedAt) || state.timeline === undefined || state.timeline !== source.timeline) return undefined;
    if (!source.streamedBy.includes(member) || state.lsn === undefined || source.lsn === undefined) return undefined;
    const lagBytes = source.lsn > state.lsn ? source.lsn - state.lsn : 0n;
    if (lagBytes > BigInt(maxLagBytes)) return undefined;
    return { leader: leader.name, timeline: state.timeline, lagBytes: Number(lagBytes) };
  });
}

/** What Patroni or a server does not answer for a moment, it may answer in the next. */
async function until<T>(
  what: string,
  { clock }: HandlerPorts,
  { signal, timeoutMs = 60_000 }: OperationContext,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let last: SpokeError | undefined;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
      last = undefined;
    } catch (thrown) {
      if (!(thrown instanceof SpokeError) || thrown.retry !== 'transient') throw thrown;
      last = thrown;
    }
    if (clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `waited ${timeoutMs / 1000} s in vain until ${what}`, {
        details: last === undefined ? {} : { lastFault: last.message },
        hint: 'See: spoke-backup status; then: spoke-backup runs resume',
      });
    await clock.sleep(POLL_MS, signal);
  }
}
