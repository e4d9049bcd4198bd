import * as z from 'zod/mini';
import { key } from './described.ts';
import { wholeNumber } from './schema-values.ts';

/** How much of the history of runs is kept. */
export const history = z.strictObject({
  keepRuns: z._default(key('Runs that are kept of each kind.', wholeNumber(10, 100_000)), 1000),
  keepDays: z._default(key('Days for which runs are kept.', wholeNumber(1, 36_500)), 400),
});

/** How the daemon goes about its work. */
export const daemon = z.strictObject({
  maximumRuns: z._default(key('Runs that may be under way at the same time, of all clusters.', wholeNumber(1, 1000)), 4),
  maximumRunsPerHost: z._default(key('The same of clusters whose servers are on one host.', wholeNumber(1, 1000)), 1),
  gracePeriodSeconds: z._default(key('How long runs may go on once the daemon is asked to end.', wholeNumber(0, 86_400)), 60),
});
