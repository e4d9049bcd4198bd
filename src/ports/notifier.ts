import type { NoticeMemory } from '../domain/notices/memory.ts';
import type { Notice } from '../domain/notices/notice.ts';

/** What came of one channel. */
export interface Delivery {
  readonly channel: string;
  readonly kind: 'webhook' | 'slack' | 'email' | 'healthchecks';
  readonly result: 'delivered' | 'failed';
  readonly attempts: number;
  /** Why it failed, without secrets; the address of a channel is one. */
  readonly reason?: string;
}

/** A sign of life for a dead man's switch, which raises the alarm where none comes. */
export interface LifeSign {
  readonly cluster: string;
  /** The schedule that the run belongs to; undefined of a run that somebody began. */
  readonly schedule?: string;
  /** `test`: is told whatever the schedule, and neither delays nor raises the alarm. */
  readonly signal: 'start' | 'success' | 'failure' | 'test';
  /** Brings start and end together. */
  readonly runId: string;
}

/** Sends what is to be said. No method rejects: what could not be sent is a result. */
export interface Notifier {
  /** Through every channel that takes notices of this kind; empty where none does. */
  send(notice: Notice, signal: AbortSignal): Promise<readonly Delivery[]>;
  /** To every dead man's switch of this cluster and schedule. */
  signalLife(sign: LifeSign, signal: AbortSignal): Promise<readonly Delivery[]>;
}

/** Keeps what was said across restarts. */
export interface NoticeStore {
  /** EMPTY_MEMORY where nothing is kept, or where it cannot be read: saying something twice is better than not at all. */
  load(): Promise<NoticeMemory>;
  /** Durable when it resolves. */
  save(memory: NoticeMemory): Promise<void>;
}
