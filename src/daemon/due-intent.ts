import type { DueRun } from '../domain/schedule/due-run.ts';
import type { Instant } from '../domain/time/instant.ts';
import { SpokeError } from '../errors.ts';
import type { RunVerb } from '../ports/run-store.ts';
import type { BackupIntent } from '../workflows/backup/plan.ts';
import type { ExpireIntent } from '../workflows/expire/facts.ts';
import type { VerifyIntent } from '../workflows/verify/plan.ts';

/** What a run that is due is for, as the command line would write it down. */
export function intentOf(run: DueRun, cluster: string, now: Instant): { readonly verb: RunVerb; readonly intent: unknown } {
  const { kind, repositories } = run;
  switch (kind) {
    case 'backup':
      return { verb: kind, intent: { cluster, type: run.type ?? 'incr', repositories } satisfies BackupIntent };
    case 'expire':
      return { verb: kind, intent: { cluster, repositories, confirmed: false, decidedAtMicros: String(now) } satisfies ExpireIntent };
    case 'verify':
      return { verb: kind, intent: { cluster, repositories } satisfies VerifyIntent };
    case 'drill':
      throw new SpokeError('REFUSED_PRECONDITION', 'this version runs no drills', { hint: 'Leave the schedule out of the configuration.' });
  }
}
