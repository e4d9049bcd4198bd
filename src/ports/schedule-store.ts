import type { FirstSeen } from '../domain/schedule/schedule.ts';

/** Keeps across restarts since when each schedule of a cluster is known. */
export interface ScheduleStore {
  /** Empty where nothing is kept, or where it cannot be read: then schedules are new, and what was missed is not caught up. */
  load(): Promise<FirstSeen>;
  /** Durable when it resolves. */
  save(firstSeen: FirstSeen): Promise<void>;
}
