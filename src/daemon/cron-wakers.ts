import type { ScheduledTask } from 'node-cron';
import type { Schedule } from '../domain/schedule/schedule.ts';

/**
 * Timers of node-cron that wake the actors when a schedule may be due: one for each pattern and zone, however many clusters
 * share it. What is due they do not decide: an hour that is skipped or comes twice is none of theirs.
 */
export class CronWakers {
  readonly #tasks: readonly ScheduledTask[];

  private constructor(tasks: readonly ScheduledTask[]) {
    this.#tasks = tasks;
  }

  static async start(schedules: readonly Schedule[], wake: (pattern: string, timezone: string) => void): Promise<CronWakers> {
    const { schedule } = await import('node-cron');
    const distinct = new Map(schedules.filter((one) => !one.suspended).map((one) => [`${one.pattern.text}|${one.timezone}`, one] as const));
    const tasks = [...distinct.values()].map(({ pattern, timezone }) =>
      schedule(pattern.text, () => wake(pattern.text, timezone), { timezone }),
    );
    return new CronWakers(tasks);
  }

  async stop(): Promise<void> {
    for (const task of this.#tasks) await task.destroy();
  }
}
