/** What is asked of Patroni, decided once and written down before it is; plain JSON. Members are named as Patroni names them. */
export type PatroniIntent = SwitchLeaderIntent | ReinitializeIntent;

export interface SwitchLeaderIntent {
  readonly by: 'patroni';
  readonly verb: 'switchover' | 'failover';
  readonly cluster: string;
  /** Its own run: whether it has made clients wait is in the journal. */
  readonly run: string;
  /** Null: nobody leads. */
  readonly from: string | null;
  /** The node that `from` is; null where the configuration has none. */
  readonly fromNode: string | null;
  /** The server of `from` as it was: it is another one once it has become a standby. Null where it does not say. */
  readonly fromStartedAt: string | null;
  readonly to: string;
  /** The node that `to` is. */
  readonly node: string;
  /** That which ends. */
  readonly timeline: number;
  /** Whether a backup on the new timeline follows, as a run of its own. */
  readonly thenBackup: boolean;
  readonly limitMs: number;
  readonly warnings: readonly string[];
}

export interface ReinitializeIntent {
  readonly by: 'patroni';
  readonly verb: 'reseed';
  readonly cluster: string;
  readonly node: string;
  readonly member: string;
  readonly leader: string;
  /** When the server that is thrown away was started; null where none runs. */
  readonly startedAt: string | null;
  /** Decimal digits. */
  readonly maxLagBytes: string;
  readonly limitMs: number;
  readonly warnings: readonly string[];
}

/** Whether a run of switchover, failover or reseed is one that Patroni was asked for. */
export function isPatroniIntent(intent: unknown): intent is PatroniIntent {
  return typeof intent === 'object' && intent !== null && Reflect.get(intent, 'by') === 'patroni';
}
