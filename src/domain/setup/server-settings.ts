import { atLeastSetting, sameSetting } from '../postgres/setting-value.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** The most WAL that is kept for a slot. */
export const SLOT_BOUND = 'max_slot_wal_keep_size';

export interface Machine {
  readonly memoryBytes: number;
  readonly cores: number;
}

/**
 * How much of what is there already counts. `exactly`: only that. `atLeast`: more is as good. `unlessSet`: whoever has set it otherwise had a
 * reason; only PostgreSQL's own value is replaced.
 */
type Rule = 'exactly' | 'atLeast' | 'unlessSet';

export interface WantedSetting {
  readonly name: string;
  readonly value: string;
  readonly rule: Rule;
  /** Why, for people. */
  readonly reason: string;
  /** Values that do as well. */
  readonly orElse?: readonly string[];
}

/** A setting as the server shows it. */
export interface PresentSetting {
  readonly name: string;
  readonly value: string;
  readonly unit?: string;
  readonly bootValue?: string;
}

export interface SettingChange extends WantedSetting {
  /** With its unit. */
  readonly present: string;
}

/** How many MiB of WAL slots may keep where nobody has bounded them; absent where they are bounded for another reason. */
interface ReplicationNeeds {
  readonly othersConnect: boolean;
  readonly keepMib?: number;
}

/** What replication needs, of a primary and of whoever may become one. */
export function replicationSettings({ othersConnect, keepMib }: ReplicationNeeds): readonly WantedSetting[] {
  return [
    { name: 'wal_level', value: 'replica', rule: 'exactly', orElse: ['logical'], reason: 'WAL holds what standbys need' },
    { name: 'max_wal_senders', value: '10', rule: 'atLeast', reason: 'one each for standbys, backups and WAL streaming' },
    { name: 'max_replication_slots', value: '10', rule: 'atLeast', reason: 'one for each standby and for WAL streaming' },
    { name: 'wal_keep_size', value: '1GB', rule: 'atLeast', reason: 'a standby whose slot is gone can still catch up' },
    { name: 'hot_standby', value: 'on', rule: 'exactly', reason: 'a standby answers queries' },
    { name: 'hot_standby_feedback', value: 'on', rule: 'unlessSet', reason: 'queries on a standby are not cancelled by vacuum' },
    { name: 'wal_log_hints', value: 'on', rule: 'exactly', reason: 'pg_rewind can bring an old primary back' },
    { name: 'password_encryption', value: 'scram-sha-256', rule: 'exactly', reason: 'passwords are kept as SCRAM verifiers' },
    ...(keepMib === undefined
      ? []
      : ([
          { name: SLOT_BOUND, value: `${keepMib}MB`, rule: 'unlessSet', reason: 'a standby that stays away does not fill the disk' },
        ] as const)),
    ...(othersConnect ? ([{ name: 'listen_addresses', value: '*', rule: 'unlessSet', reason: 'other hosts connect' }] as const) : []),
  ];
}

/**
 * PostgreSQL's own values are for a machine of long ago. These are the usual shares of the memory (documentation, "Resource Consumption": a
 * quarter of it for shared_buffers); a machine of 16 GiB gets 4 GiB, 12 GiB and 1 GiB.
 */
export function tunedSettings({ memoryBytes }: Machine): readonly WantedSetting[] {
  const share = (divisor: number, least: number, most: number) =>
    `${Math.floor(Math.min(most, Math.max(least, memoryBytes / divisor)) / MIB)}MB`;
  const memory = `${(memoryBytes / GIB).toFixed(1)} GiB of memory`;
  const tuned = (name: string, value: string, reason: string): WantedSetting => ({ name, value, rule: 'unlessSet', reason });
  return [
    tuned('shared_buffers', share(4, 128 * MIB, 64 * GIB), `a quarter of ${memory}`),
    tuned('effective_cache_size', share(4 / 3, 384 * MIB, 1024 * GIB), `three quarters of ${memory}: what the system caches, too`),
    tuned('maintenance_work_mem', share(16, 64 * MIB, 2 * GIB), `a sixteenth of ${memory}, for vacuum and indexes`),
    tuned('work_mem', share(1600, 4 * MIB, 64 * MIB), `of ${memory}: each sort may take it, on each of many connections`),
    tuned('checkpoint_completion_target', '0.9', 'checkpoints spread their writes'),
    tuned('min_wal_size', '1GB', 'WAL files are used again rather than made anew'),
    tuned('max_wal_size', '4GB', 'fewer checkpoints, and so less WAL'),
    tuned('random_page_cost', '1.1', 'for solid state disks'),
    tuned('effective_io_concurrency', '200', 'for solid state disks'),
    tuned('max_connections', '200', 'PgBouncer and whoever connects beside it'),
    tuned('log_checkpoints', 'on', 'the log says what checkpoints cost'),
    tuned('log_connections', 'on', 'the log says who came'),
    tuned('log_disconnections', 'on', 'the log says who left'),
    tuned('log_lock_waits', 'on', 'the log says who waited for whom'),
    tuned('log_line_prefix', '%m [%p] %u@%d ', 'the log says when and who'),
  ];
}

/**
 * What of the wanted is not so yet; of what is wanted of one setting for several reasons, the most. What the server does not know is left
 * out. Pure.
 */
export function settingChanges(present: readonly PresentSetting[], wanted: readonly WantedSetting[]): readonly SettingChange[] {
  const byName = new Map(present.map((one) => [one.name, one]));
  const changes = new Map<string, SettingChange>();
  for (const one of wanted) {
    const there = byName.get(one.name);
    const before = changes.get(one.name);
    if (there === undefined || suffices(there, one)) continue;
    if (before === undefined || !atLeastSetting(before.value, one.value, there.unit))
      changes.set(one.name, { ...one, present: shown(there) });
  }
  return [...changes.values()];
}

function suffices({ value, unit, bootValue }: PresentSetting, wanted: WantedSetting): boolean {
  if (sameSetting(value, wanted.value, unit) || wanted.orElse?.includes(value) === true) return true;
  if (wanted.rule === 'atLeast') return atLeastSetting(value, wanted.value, unit);
  return wanted.rule === 'unlessSet' && bootValue !== undefined && !sameSetting(value, bootValue, unit);
}

function shown({ value, unit }: PresentSetting): string {
  if (value === '') return '(empty)';
  if (unit === undefined || !/^\d+$/.test(value)) return value;
  return /^\d/.test(unit) ? `${value}×${unit}` : `${value}${unit}`;
}
