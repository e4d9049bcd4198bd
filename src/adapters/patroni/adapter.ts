import type { PatroniMember, PatroniView } from '../../domain/patroni/view.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { PatroniControl, PatroniReader } from '../../ports/patroni.ts';
import { configurationOf, greetingOf, historyOf, membersOf, memberStateOf } from './answers.ts';
import { type PatroniAccess, PatroniApi } from './api.ts';
import { type ApiAnswer, wordsOf } from './http.ts';

const READ_TIMEOUT_MS = 5_000;
/** Patroni answers when the change is over, or after twice its loop_wait (10 s at least) of seconds. */
const CHANGE_TIMEOUT_MS = 180_000;
const PAUSE_TIMEOUT_MS = 60_000;
const POLL_MS = 200;

interface Parts {
  readonly access: PatroniAccess;
  readonly clock: Clock;
}

/** The REST API of Patroni (its documentation, "Patroni REST API"); tried with 3.0 and later. */
export function createPatroni({ access, clock }: Parts): PatroniReader & PatroniControl {
  const api = new PatroniApi(access);
  return {
    ...createReader(api),
    async switchover(change, context) {
      const answer = await api.change({ method: 'POST', path: '/switchover', body: change }, patient(context));
      requireNewLeader(answer, change.candidate, `hand over to ${change.candidate}`);
    },
    async failover(candidate, context) {
      const answer = await api.change({ method: 'POST', path: '/failover', body: { candidate } }, patient(context));
      requireNewLeader(answer, candidate, `fail over to ${candidate}`);
    },
    async reinitialize(member, context) {
      const url = await apiUrlOf(api, member, quick(context));
      const answer = await api.changeAt(url, { method: 'POST', path: '/reinitialize', body: {} }, patient(context));
      const isUnderWay = answer.status === 503 && /^reinitialize already in progress/.test(answer.text);
      if (!isUnderWay) requireDone(answer, `reinitialize ${member}`);
    },
    async restart(member, context) {
      const url = await apiUrlOf(api, member, quick(context));
      requireDone(await api.changeAt(url, { method: 'POST', path: '/restart', body: {} }, patient(context)), `restart ${member}`);
    },
    async setPaused(paused, context) {
      const body = { pause: paused ? true : null };
      requireDone(await api.change({ method: 'PATCH', path: '/config', body }, quick(context)), paused ? 'pause' : 'resume');
      await untilSeen(paused, api, clock, context);
    },
  };
}

function createReader(api: PatroniApi): PatroniReader {
  return {
    observe: (context) => observe(api, quick(context)),
    async observeMember(member, context) {
      const url = await apiUrlOf(api, member, quick(context));
      return memberStateOf(member, (await api.readAt(url, '/patroni', quick(context))).text, url);
    },
    async readConfiguration(context) {
      const { text, url } = await api.read('/config', quick(context));
      return configurationOf(text, url);
    },
  };
}

async function observe(api: PatroniApi, context: OperationContext): Promise<PatroniView> {
  const { text, url } = await api.read('/patroni', context);
  const { version, scope, paused } = greetingOf(text, url);
  if (scope !== api.scope)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `the Patroni at ${url} manages "${scope}", and not "${api.scope}"`, {
      hint: 'Correct patroni.urls or patroni.scope.',
    });
  try {
    const cluster = await api.read('/cluster', context);
    const found = membersOf(cluster.text, cluster.url);
    return { url: cluster.url, version, scope, ...found, history: await historyFrom(api, context) };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'PATRONI_UNAVAILABLE' && error.code !== 'TIMED_OUT') throw error;
    return { url, version, scope, paused, storeFault: error.message, members: [], history: [] };
  }
}

/** What Patroni remembers is good to know, and nothing depends on it. */
async function historyFrom(api: PatroniApi, context: OperationContext): Promise<PatroniView['history']> {
  try {
    const { text, url } = await api.read('/history', context);
    return historyOf(text, url);
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'PATRONI_UNAVAILABLE' && error.code !== 'TIMED_OUT') throw error;
    return [];
  }
}

async function apiUrlOf(api: PatroniApi, member: string, context: OperationContext): Promise<string> {
  const { members, storeFault } = await observe(api, context);
  if (storeFault !== undefined) throw new SpokeError('PATRONI_UNAVAILABLE', `Patroni has no configuration store: ${storeFault}`);
  const url = members.find(({ name }) => name === member)?.apiUrl;
  if (url !== undefined) return url;
  throw new SpokeError('PATRONI_FAILED', `Patroni has no member "${member}"`, {
    hint: `Known are: ${members.map(({ name }) => name).join(', ')}`,
  });
}

/** A member that has not seen it would still act. */
async function untilSeen(paused: boolean, api: PatroniApi, clock: Clock, context: OperationContext): Promise<void> {
  const deadlineMs = clock.monotonicMs() + (context.timeoutMs ?? PAUSE_TIMEOUT_MS);
  for (;;) {
    const unaware = await unawareOf(paused, api, quick(context));
    if (unaware.length === 0) return;
    if (clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `${unaware.join(', ')} has not seen yet that Patroni is ${paused ? 'paused' : 'resumed'}`, {
        hint: 'See: patronictl list',
      });
    await clock.sleep(POLL_MS, context.signal);
  }
}

async function unawareOf(paused: boolean, api: PatroniApi, context: OperationContext): Promise<readonly string[]> {
  const { members, storeFault } = await observe(api, context);
  if (storeFault !== undefined) return ['the configuration store'];
  const seen = await Promise.all(members.map((member) => hasSeen(paused, member, api, context)));
  return members.flatMap(({ name }, index) => (seen[index] === true ? [] : [name]));
}

async function hasSeen(paused: boolean, { name, apiUrl }: PatroniMember, api: PatroniApi, context: OperationContext): Promise<boolean> {
  if (apiUrl === undefined) return false;
  try {
    return memberStateOf(name, (await api.readAt(apiUrl, '/patroni', context)).text, apiUrl).paused === paused;
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    return false;
  }
}

function quick(context: OperationContext): OperationContext {
  return { ...context, timeoutMs: Math.min(context.timeoutMs ?? READ_TIMEOUT_MS, READ_TIMEOUT_MS) };
}

function patient(context: OperationContext): OperationContext {
  return { ...context, timeoutMs: context.timeoutMs ?? CHANGE_TIMEOUT_MS };
}

function requireDone(answer: ApiAnswer, what: string): void {
  if (answer.status === 200 || answer.status === 202) return;
  throw new SpokeError('PATRONI_FAILED', `Patroni does not ${what}: ${wordsOf(answer)} (status ${answer.status})`, {
    details: { status: answer.status, ...(/status unknown/.test(answer.text) ? { isUnderWay: true } : {}) },
  });
}

/** `Successfully switched over to "x"`, or, with the same status, `Switched over to "y" instead of "x"`. */
function requireNewLeader(answer: ApiAnswer, candidate: string, what: string): void {
  requireDone(answer, what);
  if (answer.text.includes(' instead of ')) throw new SpokeError('PATRONI_FAILED', `Patroni did not ${what}: ${wordsOf(answer)}`);
}
