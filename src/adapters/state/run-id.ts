import { formatInstantIso, type Instant } from '../../domain/time/instant.ts';
import type { RunId, RunVerb } from '../../ports/run-store.ts';

const RUN_ID = /^\d{8}T\d{6}Z-[a-z][a-z-]{0,31}-[a-z0-9]{1,16}$/;

/** For example `20261122T211628Z-restore-k3f9`. `randomSuffix` is what makes two runs of one second differ. */
export function newRunId(verb: RunVerb, now: Instant, randomSuffix: string): RunId {
  const seconds = formatInstantIso(now).slice(0, 19).replaceAll(/[-:]/g, '');
  const text = `${seconds}Z-${verb}-${randomSuffix}`;
  if (!isRunId(text)) throw new RangeError(`not a run id: "${text}"`);
  return text;
}

/** Whether a text has the form of a run id. Such a text is a file name and leads nowhere else. */
export function isRunId(text: string): text is RunId {
  return RUN_ID.test(text);
}
