import { formatBytes } from '../bytes.ts';
import { atLeastSetting, settingNumber } from '../postgres/setting-value.ts';
import { type PresentSetting, type SettingChange, SLOT_BOUND, type WantedSetting } from './server-settings.ts';

/**
 * On a hot standby none of them may be lower than on its primary, else replay stops there (documentation, "Hot Standby", "Administrator's
 * Overview"): so they are raised on the standbys first.
 */
export const NOT_LOWER_ON_STANDBYS: readonly string[] = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];

/** What a standby needs at least, by the settings of its primary. */
export function followedSettings(ofPrimary: readonly PresentSetting[]): readonly WantedSetting[] {
  return ofPrimary
    .filter(({ name }) => NOT_LOWER_ON_STANDBYS.includes(name))
    .map(({ name, value }) => ({ name, value, rule: 'atLeast', reason: `the primary has ${value}: with less, replay stops` }));
}

/** Who would suffer from a change. */
export interface Dependents {
  /** Standbys of this server, with those settings as they have them. */
  readonly standbys: readonly { readonly node: string; readonly settings: readonly PresentSetting[] }[];
  /** Its own slots. */
  readonly slots: readonly { readonly name: string; readonly retainedBytes?: bigint }[];
}

/** A change that is not made, and why. */
export interface WithheldChange {
  readonly name: string;
  readonly why: string;
}

/** Changes by which replay would stop on a standby, or a slot be lost at once. Pure. */
export function withheldChanges(changes: readonly SettingChange[], { standbys, slots }: Dependents): readonly WithheldChange[] {
  return changes.flatMap(({ name, value, present }): WithheldChange[] => {
    const lower = NOT_LOWER_ON_STANDBYS.includes(name) ? standbys.filter(({ settings }) => isLower(settings, name, value)) : [];
    const full =
      name === SLOT_BOUND ? slots.filter(({ retainedBytes = 0n }) => Number(retainedBytes) > (settingNumber(value, 'B') ?? 0)) : [];
    if (lower.length > 0) {
      const [first, ...others] = lower.map(({ node }) => node);
      const all = [first, ...others].join(', ');
      return [
        {
          name,
          why: `${name} stays at ${present}: with ${value}, replay would stop on ${all}. First: spoke-backup setup replica ${first} --apply`,
        },
      ];
    }
    const [slot] = full;
    if (slot === undefined) return [];
    const holds = formatBytes(slot.retainedBytes ?? 0n);
    return [{ name, why: `${name} stays at ${present}: with ${value}, slot ${slot.name}, which holds ${holds}, would be lost at once` }];
  });
}

function isLower(settings: readonly PresentSetting[], name: string, value: string): boolean {
  const present = settings.find((one) => one.name === name);
  return present !== undefined && !atLeastSetting(present.value, value, present.unit);
}
