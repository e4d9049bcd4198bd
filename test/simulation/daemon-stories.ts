import fc from 'fast-check';
import { parseCronPattern } from '../../src/domain/schedule/cron-pattern.ts';
import type { Schedule } from '../../src/domain/schedule/schedule.ts';
import type { Blow } from './daemon-world.ts';

export const HOUR = 3600;
export const DAY = 24 * HOUR;

export const span = (least: number, most: number) => fc.integer({ min: least, max: most });

/** Anything that may befall a cluster. */
export const blowWithin = (at: fc.Arbitrary<number>): fc.Arbitrary<Blow> =>
  fc.oneof(
    fc.record({ kind: fc.constant('off' as const), at, seconds: span(1, 2 * HOUR), isTaken: fc.boolean() }),
    fc.record({ kind: fc.constant('off' as const), at, seconds: span(2 * HOUR, 5 * DAY), isTaken: fc.boolean() }),
    fc.record({ kind: fc.constant('outage' as const), at, seconds: span(60, 2 * DAY), repository: fc.nat(1) }),
    fc.record({
      kind: fc.constant('jump' as const),
      at,
      seconds: span(60, 2 * DAY),
      aheadSeconds: fc.oneof(span(-2 * DAY, 2 * DAY), span(2 * DAY, 40 * DAY)),
    }),
    fc.record({ kind: fc.constant('slow' as const), at, seconds: span(2 * HOUR, 30 * HOUR) }),
    fc.record({
      kind: fc.constant('fault' as const),
      at,
      seconds: fc.constant(0 as const),
      retry: fc.constantFrom('transient' as const, 'none' as const),
    }),
    fc.record({ kind: fc.constant('failover' as const), at, seconds: fc.constant(0 as const) }),
  );

/** A schedule of backups, but for what is said otherwise. */
export function schedule(name: string, cron: string, changes: Pick<Schedule, 'timezone' | 'repositories'> & Partial<Schedule>): Schedule {
  const parsed = parseCronPattern(cron);
  if (parsed.kind === 'refused') throw new Error(parsed.fault);
  const usual = { kind: 'backup', expireAfterBackup: false, blackouts: [], suspended: false, jitterSeconds: 0 } as const;
  return { name, pattern: parsed.pattern, ...usual, ...changes };
}
