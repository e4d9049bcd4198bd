import * as z from 'zod/mini';
import { CLAIM_VERBS } from '../../domain/concurrency/matrix.ts';
import type { LeaseDocument, StoredLease } from '../../domain/lease/lease-document.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';

/** What tells a holder's process from every other; in the state adapter's words, opaque here. */
export type ProcessFacts = Readonly<Record<string, string | number>>;

/** A stored lease with what a process on the holder's host can recognise it by. */
export interface StoredLeaseOfProcess extends StoredLease {
  readonly process: ProcessFacts;
}

/** `leases` of which each has its process; what the pure decisions copy stays with it. */
export interface StoredDocument extends LeaseDocument {
  readonly leases: readonly StoredLeaseOfProcess[];
}

const micros = z.pipe(
  z.string().check(z.regex(/^\d{1,20}$/)),
  z.transform((text) => instantOfMicros(BigInt(text))),
);

const documentSchema = z.object({
  schema: z.literal(1),
  lastEpoch: z.int(),
  leases: z.array(
    z.object({
      token: z.string(),
      epoch: z.int(),
      renewals: z.int(),
      termMs: z.int().check(z.minimum(1)),
      expiresAt: z.optional(micros),
      claim: z.object({
        verb: z.enum(CLAIM_VERBS),
        cluster: z.string(),
        repositories: z.array(z.string()),
        dataDirectory: z.optional(z.string()),
        host: z.string(),
      }),
      holder: z.object({ name: z.string(), pid: z.int(), host: z.string(), since: micros }),
      process: z.record(z.string(), z.union([z.string(), z.int()])),
    }),
  ),
});

/** As it lies in the store. */
export function documentToText(document: LeaseDocument): string {
  return `${JSON.stringify({ schema: 1, ...document }, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n`;
}

/** Throws LOCKED where a later version may have written it: what is not understood is held. */
export function documentOfText(text: string, place: string): StoredDocument {
  const read = documentSchema.safeParse(parsed(text));
  if (read.success) return read.data as StoredDocument;
  throw new SpokeError('LOCKED', `The leases in ${place} are written in a way that this version does not know.`, {
    hint: 'Use the same version of spoke-backup on every host.',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
