import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { priceBasebackup } from './price-basebackup.ts';
import { priceDelta, priceBackup } from './price-repository.ts';
import { priceRewind } from './price-rewind.ts';
import type { ReseedFacts, ReseedMethodName } from './reseed-facts.ts';
import type { PossibleReseed, ReseedOption } from './reseed-option.ts';

export interface ReseedChoice {
  readonly chosen?: PossibleReseed;
  /** What can be done where that one was interrupted and cannot be done again: the cheapest that does without pg_rewind, whatever was wished for. */
  readonly instead?: PossibleReseed;
  /** Why that one, or why none. */
  readonly reason: string;
  /** Every way that was considered. */
  readonly options: readonly ReseedOption[];
}

/** `--method` and `--from`; absent: whatever is cheapest. */
export interface ReseedWish {
  readonly method?: ReseedMethodName;
  /** The kind of a repository (`local`, `s3`), `primary`, `standby`, or the name of a repository or a node; a kind goes before a name. */
  readonly from?: string;
}

/**
 * Prices every way to seed a standby and takes the one that moves the fewest bytes; of those that move as many the one that loads the
 * primary least, then the quickest. Nothing is chosen that is refused, whatever is wished for.
 */
export function chooseReseed(facts: ReseedFacts, wish: ReseedWish = {}): ReseedChoice {
  const options = [
    priceRewind(facts),
    ...facts.snapshots.flatMap((one) => [priceDelta(one, facts), priceBackup(one, facts)]),
    ...priceBasebackup(facts),
  ];
  const [instead] = options
    .filter((option) => option.kind === 'possible')
    .filter(({ method }) => method !== 'rewind')
    .toSorted(cheapestFirst);
  const wanted = options.filter((option) => isWished(option, wish, facts.snapshots));
  const possible = wanted.filter((option) => option.kind === 'possible').toSorted(cheapestFirst);
  const [chosen] = possible;
  if (chosen === undefined) return { options, reason: whyNone(wanted) };
  return {
    chosen,
    ...(instead === undefined ? {} : { instead }),
    options,
    reason: possible.length === 1 ? 'nothing else is possible' : 'it moves the fewest bytes',
  };
}

function isWished({ method, source }: ReseedOption, wish: ReseedWish, snapshots: readonly RepositorySnapshot[]): boolean {
  if (wish.method !== undefined && wish.method !== method) return false;
  if (wish.from === undefined) return true;
  if (!KINDS_OF_SOURCES.includes(wish.from)) return source?.name === wish.from;
  if (source?.kind === 'repository') return snapshots.some(({ repository, kind }) => repository === source.name && kind === wish.from);
  return source?.kind === wish.from;
}

const KINDS_OF_SOURCES: readonly string[] = ['local', 's3', 'primary', 'standby'];

function cheapestFirst({ price: one }: PossibleReseed, { price: other }: PossibleReseed): number {
  return compare(one.bytesMoved, other.bytesMoved) || compare(one.primaryBytes, other.primaryBytes) || one.seconds - other.seconds;
}

function compare(one: bigint, other: bigint): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function whyNone(wanted: readonly ReseedOption[]): string {
  if (wanted.length === 0) return 'there is no such method and source';
  return wanted.map(({ method, source, reason }) => `${method}${source === undefined ? '' : ` from ${source.name}`}: ${reason}`).join('; ');
}
