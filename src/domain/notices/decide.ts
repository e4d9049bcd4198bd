import { formatDuration } from '../time/duration.ts';
import { addMicros, formatInstantIso, formatInstantUtc, type Instant, secondsBetween } from '../time/instant.ts';
import { MEMORY_LIMITS, type NoticeMemory, type OpenFailure } from './memory.ts';
import { fewLines, type Notice, type NoticeKind, type NoticeTopic, type Observation, oneLine } from './notice.ts';

/** What one says of a thing of which something is wrong. */
const WRONG: Readonly<Record<NoticeTopic, string>> = {
  run: 'failed',
  drill: 'failed',
  'missed-run': 'was missed',
  rpo: 'is breached',
  health: 'needs attention',
};

const HOUR_SECONDS = 3_600;
const HOUR_MICROS = 3_600_000_000n;

export interface NoticePolicy {
  /** What still fails is said again after so long. */
  readonly remindAfterSeconds: number;
  /** More than so many notices within an hour are held back and counted. At least 2. */
  readonly mostPerHour: number;
}

export interface NoticeDecision {
  /** To be sent, in this order. */
  readonly notices: readonly Notice[];
  /** What to remember once they have been sent. */
  readonly memory: NoticeMemory;
}

/**
 * What is said of what was observed: a failure once, again after `remindAfterSeconds`, at once where its cause is another one,
 * and its end once. At most `mostPerHour` an hour: what is held back is counted, and a failure that still lasts is said later.
 * Also called with nothing observed, for what is due. Pure.
 */
export function decideNotices(
  observations: readonly Observation[],
  memory: NoticeMemory,
  policy: NoticePolicy,
  now: Instant,
): NoticeDecision {
  const desk = new Desk(memory, policy, now);
  for (const observation of failuresFirst(observations)) {
    if (observation.state === 'failing') desk.failing(observation);
    else desk.well(observation);
  }
  desk.remind();
  return desk.decision();
}

/** Where not all can be said, what is wrong comes first. */
function failuresFirst(observations: readonly Observation[]): readonly Observation[] {
  const isFailing = ({ state }: Observation) => state === 'failing';
  return [...observations.filter(isFailing), ...observations.filter((one) => !isFailing(one))];
}

/** One decision while it is being made. */
class Desk {
  readonly #policy: NoticePolicy;
  readonly #now: Instant;
  readonly #memory: NoticeMemory;
  readonly #open: Map<string, OpenFailure>;
  readonly #notices: Notice[] = [];
  #sentAt: readonly Instant[];
  #heldBack: ReadonlySet<string>;
  #saidResults: readonly string[];

  constructor(memory: NoticeMemory, policy: NoticePolicy, now: Instant) {
    this.#memory = memory;
    this.#policy = policy;
    this.#now = now;
    // A clock that was set back leaves instants in the future: taken as now, or nothing would be due for as long.
    this.#open = new Map([...memory.open].map(([key, failure]) => [key, notAfter(failure, now)]));
    this.#sentAt = memory.sentAt.map((at) => (at > now ? now : at)).filter((at) => at > addMicros(now, -HOUR_MICROS));
    this.#heldBack = new Set(memory.heldBack);
    this.#saidResults = memory.saidResults;
    this.#sayWhatWasHeldBack();
  }

  failing(observation: Observation): void {
    const key = keyOf(observation);
    const known = this.#open.get(key);
    const failure = known ?? { since: this.#now, times: 0, saidAt: undefined, saidCodes: [] };
    this.#remember(key, this.#sayIfDue({ ...failure, observation, times: failure.times + 1 }));
  }

  /** What was seen to fail and has not been seen since. */
  remind(): void {
    for (const [key, failure] of this.#open) this.#open.set(key, this.#sayIfDue(failure));
  }

  well(observation: Observation): void {
    const key = keyOf(observation);
    const failure = this.#open.get(key);
    this.#open.delete(key);
    // What was only held back was never said to be wrong, and has been counted.
    if (failure?.saidAt !== undefined) {
      const lasted = formatDuration(secondsBetween(failure.since, this.#now));
      const isSaid = this.#say(observation, 'recovery', `${titleOf(observation)} recovered after ${lasted}`);
      if (!isSaid) this.#open.set(key, failure);
    } else if (observation.isResult === true && !this.#isRepeated(observation)) {
      this.#say(observation, 'result', `${titleOf(observation)}: ${oneLine(observation.cause)}`);
    }
  }

  decision(): NoticeDecision {
    const { undelivered } = this.#memory;
    const memory = {
      open: this.#open,
      sentAt: this.#sentAt,
      heldBack: [...this.#heldBack].slice(-MEMORY_LIMITS.heldBack),
      saidResults: this.#saidResults.slice(-MEMORY_LIMITS.saidResults),
      undelivered: [],
    };
    const old = addMicros(this.#now, -BigInt(MEMORY_LIMITS.undeliveredHours) * HOUR_MICROS);
    return { notices: [...undelivered.filter(({ at }) => at > old), ...this.#notices], memory };
  }

  #sayIfDue(failure: OpenFailure): OpenFailure {
    const { observation } = failure;
    const isSaid = this.#isDue(failure) && this.#say(observation, kindOf(failure), describeFailure(failure, this.#now));
    return isSaid ? withSaid(failure, this.#now) : failure;
  }

  #isDue({ saidAt, saidCodes, observation: { code } }: OpenFailure): boolean {
    if (saidAt === undefined) return true;
    if (code !== undefined && !saidCodes.includes(code)) return true;
    return secondsBetween(saidAt, this.#now) >= this.#policy.remindAfterSeconds;
  }

  #isRepeated({ runId }: Observation): boolean {
    if (runId === undefined) return false;
    if (this.#saidResults.includes(runId)) return true;
    this.#saidResults = [...this.#saidResults, runId];
    return false;
  }

  /** False where there have been too many: then it is counted. */
  #say(observation: Observation, kind: NoticeKind, title: string): boolean {
    if (this.#sentAt.length >= this.#policy.mostPerHour) {
      this.#heldBack = new Set([...this.#heldBack, `${kind} ${keyOf(observation)}`]);
      return false;
    }
    const { topic, cluster, runId, code, next, cause } = observation;
    this.#send({
      ...{ id: idOf(keyOf(observation), kind, this.#now), kind, topic, cluster, at: this.#now },
      ...{ title: oneLine(title), cause: fewLines(cause), next: oneLine(next) },
      ...(runId === undefined ? {} : { runId }),
      ...(code === undefined ? {} : { code }),
    });
    return true;
  }

  /** Only where there is room for more than that: or it would for ever take the place of what it is about. */
  #sayWhatWasHeldBack(): void {
    const count = this.#heldBack.size;
    if (count === 0 || this.#sentAt.length + 2 > this.#policy.mostPerHour) return;
    this.#heldBack = new Set();
    this.#send({
      ...{ id: idOf('', 'held-back', this.#now), kind: 'held-back', topic: undefined, cluster: undefined, at: this.#now },
      title: `${count} ${count === 1 ? 'notice was' : 'notices were'} held back`,
      cause: `There were more than ${this.#policy.mostPerHour} within ${formatDuration(HOUR_SECONDS)}. What still fails is said again.`,
      next: 'spoke-backup status',
    });
  }

  #send(notice: Notice): void {
    this.#notices.push(notice);
    this.#sentAt = [...this.#sentAt, this.#now];
  }

  #remember(key: string, failure: OpenFailure): void {
    this.#open.set(key, failure);
    if (this.#open.size <= MEMORY_LIMITS.open) return;
    const [oldest] = [...this.#open].sort(([, left], [, right]) => (left.since < right.since ? -1 : 1));
    if (oldest !== undefined) this.#open.delete(oldest[0]);
  }
}

/** Tells one thing that can fail from every other. */
export function keyOf({ cluster, topic, subject }: Pick<Observation, 'cluster' | 'topic' | 'subject'>): string {
  return JSON.stringify([cluster, topic, subject]);
}

function idOf(key: string, kind: NoticeKind, at: Instant): string {
  return `${formatInstantIso(at)} ${kind} ${key}`.trim();
}

function titleOf({ cluster, subject }: Observation): string {
  return `${cluster}: ${subject}`;
}

function kindOf({ saidAt }: OpenFailure): NoticeKind {
  return saidAt === undefined ? 'failure' : 'reminder';
}

function describeFailure({ since, times, saidAt, observation }: OpenFailure, now: Instant): string {
  if (saidAt === undefined) return `${titleOf(observation)} ${WRONG[observation.topic]}`;
  const lasted = formatDuration(secondsBetween(since, now));
  return `${titleOf(observation)} has been failing for ${lasted}, since ${formatInstantUtc(since, { fraction: 'none' })} (${times} times)`;
}

function withSaid(failure: OpenFailure, now: Instant): OpenFailure {
  const { code } = failure.observation;
  const codes = code === undefined ? failure.saidCodes : [...failure.saidCodes.filter((one) => one !== code), code];
  return { ...failure, saidAt: now, saidCodes: codes.slice(-MEMORY_LIMITS.saidCodes) };
}

function notAfter(failure: OpenFailure, now: Instant): OpenFailure {
  const { since, saidAt } = failure;
  return { ...failure, since: since > now ? now : since, saidAt: saidAt !== undefined && saidAt > now ? now : saidAt };
}

/** What no channel took is tried again with the next decision. */
export function rememberUndelivered(memory: NoticeMemory, notices: readonly Notice[]): NoticeMemory {
  return { ...memory, undelivered: notices.slice(-MEMORY_LIMITS.undelivered) };
}
