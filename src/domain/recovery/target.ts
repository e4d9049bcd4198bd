import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';

/**
 * Where replay is to stop, as PostgreSQL's recovery_target_* settings have it.
 * `inclusive` false means: stop just before it.
 */
export type RecoveryTarget =
  | { readonly kind: 'time'; readonly time: Instant; readonly inclusive: boolean }
  | { readonly kind: 'lsn'; readonly lsn: Lsn; readonly inclusive: boolean }
  /** The 64-bit transaction id as printed by pg_current_xact_id(), or its low 32 bits. */
  | { readonly kind: 'xid'; readonly xid: bigint; readonly inclusive: boolean }
  | { readonly kind: 'name'; readonly name: string }
  /** As soon as the backup is consistent. */
  | { readonly kind: 'immediate' }
  /** To the end of the archive. */
  | { readonly kind: 'latest' };

/** Which timeline replay follows: PostgreSQL's recovery_target_timeline. */
export type TargetTimeline = 'latest' | 'current' | TimelineId;
