import type { Instant } from '../time/instant.ts';
import type { Notice, Observation } from './notice.ts';

/** Something that is failing. */
export interface OpenFailure {
  /** As it was seen last: reminders say that. */
  readonly observation: Observation;
  readonly since: Instant;
  /** How often it was seen to fail. */
  readonly times: number;
  /** When it was last said; undefined while it was only held back. */
  readonly saidAt: Instant | undefined;
  /** Causes that were said, by their codes. */
  readonly saidCodes: readonly string[];
}

/** What was said already, so that it is not said again. Plain data; it is kept across restarts. */
export interface NoticeMemory {
  /** By cluster, topic and subject. */
  readonly open: ReadonlyMap<string, OpenFailure>;
  /** When notices were sent in the last hour, oldest first. */
  readonly sentAt: readonly Instant[];
  /** What could not be said since people were last told how much that is: kind, cluster, topic and subject of each. */
  readonly heldBack: readonly string[];
  /** Results that were said, by their runs, newest last. */
  readonly saidResults: readonly string[];
  /** Made, and taken by no channel so far. */
  readonly undelivered: readonly Notice[];
}

export const EMPTY_MEMORY: NoticeMemory = { open: new Map(), sentAt: [], heldBack: [], saidResults: [], undelivered: [] };

/** How much is remembered at most; what is oldest goes first. */
export const MEMORY_LIMITS = {
  open: 1_000,
  saidCodes: 8,
  saidResults: 500,
  heldBack: 1_000,
  undelivered: 50,
  undeliveredHours: 24,
} as const;
