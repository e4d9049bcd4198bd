import { formatInstantIso, type Instant } from '../../domain/time/instant.ts';
import type { RunFilter, RunId, RunVerb } from '../../ports/run-store.ts';

const RUN_ID = /^\d{8}T\d{6}Z-[a-z][a-z-]{0,31}-[a-z0-9]{1,16}$/;

/** For example `20261122T211628Z-restore-k3f9`. `randomSuffix` is what makes two runs of one second differ. */
export function newRunId(verb: RunVerb, now: Instant, randomSuffix: string): RunId {
  const text = `${idPrefix(now)}-${verb}-${randomSuffix}`;
  if (!isRunId(text)) throw new RangeError(`not a run id: "${text}"`);
  return text;
}

/** `20261122T211628Z`: ids sort by time. */
function idPrefix(instant: Instant): string {
  return `${formatInstantIso(instant).slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** Whether a text has the form of a run id. Such a text is a file name and leads nowhere else. */
export function isRunId(text: string): text is RunId {
  return RUN_ID.test(text);
}

/** Whether the id alone does not rule the run out. */
export function matchesId(runId: RunId, { verbs, startedSince }: RunFilter): boolean {
  if (startedSince !== undefined && runId < idPrefix(startedSince)) return false;
  return verbs === undefined || verbs.includes(runId.split('-').slice(1, -1).join('-') as RunVerb);
}
