/** PostgreSQL: NAMEDATALEN - 1. */
const MOST_CHARACTERS = 63;

/** The name of the replication slot of a node: lower case, and `_` for whatever PostgreSQL does not take (replica-2 → replica_2). */
export function slotOf(node: string): string {
  return node
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .slice(0, MOST_CHARACTERS);
}
