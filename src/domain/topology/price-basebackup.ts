import { formatBytes } from '../bytes.ts';
import type { ReseedFacts } from './reseed-facts.ts';
import type { ReseedOption } from './reseed-option.ts';

const SECONDS_TO_START = 5;
/** A standby that is further behind would be a bad start. */
const MOST_LAG_SHARE = 10n;

/** pg_basebackup from the primary, and from every other standby, which spares the primary. */
export function priceBasebackup(facts: ReseedFacts): readonly ReseedOption[] {
  return [fromPrimary(facts), ...facts.standbys.map((standby) => fromStandby(standby, facts))];
}

function fromPrimary(facts: ReseedFacts): ReseedOption {
  const { node, databaseBytes, hasFreeSender } = facts.primary;
  const base = { method: 'basebackup', source: { kind: 'primary', name: node } } as const;
  const space = noPlace(facts);
  if (space !== undefined) return { ...base, kind: 'refused', reason: space };
  if (!hasFreeSender) return { ...base, kind: 'refused', reason: `all connections of max_wal_senders on ${node} are taken` };
  const seconds = Number(databaseBytes) / facts.rates.networkBytesPerSecond + SECONDS_TO_START;
  return {
    ...base,
    kind: 'possible',
    price: { bytesMoved: databaseBytes, primaryBytes: databaseBytes, seconds },
    reason: 'everything, out of the primary',
  };
}

function fromStandby({ node, lagBytes }: ReseedFacts['standbys'][number], facts: ReseedFacts): ReseedOption {
  const { databaseBytes } = facts.primary;
  const base = { method: 'basebackup', source: { kind: 'standby', name: node } } as const;
  const space = noPlace(facts);
  if (space !== undefined) return { ...base, kind: 'refused', reason: space };
  if (lagBytes * MOST_LAG_SHARE > databaseBytes)
    return { ...base, kind: 'refused', reason: `${node} is itself ${formatBytes(lagBytes)} behind` };
  const { networkBytesPerSecond, replayBytesPerSecond } = facts.rates;
  const seconds = Number(databaseBytes + lagBytes) / networkBytesPerSecond + Number(lagBytes) / replayBytesPerSecond + SECONDS_TO_START;
  return {
    ...base,
    kind: 'possible',
    price: { bytesMoved: databaseBytes + lagBytes, primaryBytes: lagBytes, seconds },
    reason: `everything, and nothing but the newest WAL from ${facts.primary.node}`,
  };
}

function noPlace({ freeBytes, primary, againstBeside }: ReseedFacts): string | undefined {
  if (againstBeside !== undefined) return againstBeside;
  if (freeBytes === undefined || freeBytes >= primary.databaseBytes) return undefined;
  return `it needs ${formatBytes(primary.databaseBytes)}, ${formatBytes(freeBytes)} are free`;
}
