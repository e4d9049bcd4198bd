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
