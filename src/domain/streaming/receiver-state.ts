import type { Instant } from '../time/instant.ts';

/** Whether WAL is being streamed, as whoever streams it knows. */
export type ReceiverState =
  | { readonly kind: 'streaming'; readonly since: Instant; readonly node: string }
  | { readonly kind: 'down'; readonly since: Instant; readonly reason: string };
