/** Steps that are asked of Patroni. Members are named as Patroni names them. */
export type PatroniStep =
  /** Maintenance mode: Patroni neither starts, stops nor promotes anything by itself. */
  | { readonly kind: 'pause-patroni' }
  | {
      readonly kind: 'resume-patroni';
      /** Whom Patroni has to take for the leader before it acts by itself again; null: nobody in particular. */
      readonly leader: string | null;
    }
  | {
      readonly kind: 'switch-leader';
      /** `failover`: there is no leader to hand over. */
      readonly verb: 'switchover' | 'failover';
      /** Who leads when the plan is made; null where nobody does. */
      readonly from: string | null;
      readonly to: string;
      /** The node that `to` is: it has to accept writes at the end. */
      readonly node: string;
      /** That which ends. */
      readonly timeline: number;
    }
  | {
      readonly kind: 'reinitialize-member';
      readonly member: string;
      readonly leader: string;
      /** When the server that is thrown away was started; null where none ran. */
      readonly startedAt: string | null;
    }
  | {
      readonly kind: 'await-member';
      readonly member: string;
      /** The server that it must not be any more: it was stopped, or thrown away; null: none. */
      readonly startedAt: string | null;
      /** Decimal digits. */
      readonly maxLagBytes: string;
    };
