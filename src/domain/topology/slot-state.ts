import type { ReplicationSlot } from './replication-facts.ts';

/**
 * Whether a standby can go on by this slot: a physical one that keeps WAL and has not lost any. One that somebody reads just now is of use
 * whatever else it says.
 */
export function isSlotOfUse({ kind, temporary, active, walStatus, restartLsn, invalidationReason }: ReplicationSlot): boolean {
  if (kind !== 'physical' || temporary) return false;
  if (active) return true;
  return restartLsn !== undefined && walStatus !== 'lost' && walStatus !== 'unreserved' && invalidationReason === undefined;
}

/** Whether the primary has given it up: nobody can ever read by it again, and it has only to be dropped. */
export function isSlotLost({ active, walStatus, invalidationReason }: ReplicationSlot): boolean {
  return !active && (walStatus === 'lost' || invalidationReason !== undefined);
}
