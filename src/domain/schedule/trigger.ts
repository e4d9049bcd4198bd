import { formatInstantUtc, type Instant } from '../time/instant.ts';

/** What a run was begun by. */
export type RunTrigger =
  | { readonly kind: 'manual' }
  /** `occurrence` is the instant for which the schedule had it due, before jitter; of one run by hand, when that was. */
  | { readonly kind: 'schedule'; readonly name: string; readonly occurrence: Instant }
  /** Due before its schedule says so; `reason` says why. */
  | { readonly kind: 'early'; readonly reason: string };

/** `manual`, `daily-full 2026-11-22 02:00:00 UTC` or `early: …`. */
export function describeTrigger(trigger: RunTrigger): string {
  switch (trigger.kind) {
    case 'manual':
      return 'manual';
    case 'schedule':
      return `${trigger.name} ${formatInstantUtc(trigger.occurrence, { fraction: 'none' })}`;
    case 'early':
      return `early: ${trigger.reason}`;
  }
}
