import { decideNotices, type NoticePolicy, rememberUndelivered } from '../domain/notices/decide.ts';
import type { NoticeMemory } from '../domain/notices/memory.ts';
import type { Notice, Observation } from '../domain/notices/notice.ts';
import { asSpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Delivery, LifeSign, Notifier, NoticeStore } from '../ports/notifier.ts';

export interface NoticeDeskParts {
  readonly notifier: Notifier;
  readonly store: NoticeStore;
  readonly clock: Clock;
  readonly policy: NoticePolicy;
  readonly signal: AbortSignal;
  /** What could not be said, for the log. */
  readonly onFault: (message: string) => void;
}

/** Where everything that happens is reported. What it does never stops, delays or fails the work: no method rejects. */
export interface NoticeDesk {
  /** Says what has to be said of it; with nothing observed, what has become due. Resolves when it was said. */
  report(observations: readonly Observation[]): Promise<void>;
  signalLife(sign: LifeSign): Promise<void>;
}

/** One report after the other: each decides by what the one before has said. */
export function createNoticeDesk(parts: NoticeDeskParts): NoticeDesk {
  let memory: NoticeMemory | undefined;
  let last = Promise.resolve();
  const reportNow = async (observations: readonly Observation[]) => {
    const before = memory ?? (await parts.store.load());
    // Kept here as well: where it cannot be written down, it is not said over and over again for that.
    memory = await say(parts, observations, before);
    if (memory !== before) await parts.store.save(memory);
  };
  return {
    report(observations) {
      last = last.then(() => contained(parts, () => reportNow(observations)));
      return last;
    },
    signalLife: (sign) => contained(parts, async () => complain(parts, await parts.notifier.signalLife(sign, parts.signal))),
  };
}

/** Sent first and noted then: after a crash something is said twice rather than not at all. Resolves with what to remember. */
async function say(parts: NoticeDeskParts, observations: readonly Observation[], before: NoticeMemory): Promise<NoticeMemory> {
  const { notices, memory } = decideNotices(observations, before, parts.policy, parts.clock.now());
  const undelivered: Notice[] = [];
  // Where nobody takes one, nobody takes the next: it waits for the next report.
  for (const notice of notices) if (undelivered.length > 0 || !(await isTaken(parts, notice))) undelivered.push(notice);
  return observations.length > 0 || notices.length > 0 ? rememberUndelivered(memory, undelivered) : before;
}

/** Also where there is nobody to tell. */
async function isTaken({ notifier, signal, onFault }: NoticeDeskParts, notice: Notice): Promise<boolean> {
  const deliveries = await notifier.send(notice, signal);
  complain({ onFault }, deliveries);
  return deliveries.length === 0 || deliveries.some(({ result }) => result === 'delivered');
}

function complain({ onFault }: Pick<NoticeDeskParts, 'onFault'>, deliveries: readonly Delivery[]): void {
  for (const { channel, kind, result, attempts, reason } of deliveries)
    if (result === 'failed')
      onFault(`${kind} ${channel} was not told, after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${reason ?? ''}`);
}

async function contained({ onFault }: NoticeDeskParts, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    onFault(`notices: ${asSpokeError(thrown).message}`);
  }
}
