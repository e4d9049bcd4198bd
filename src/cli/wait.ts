import { parseDuration } from '../domain/time/duration.ts';
import { SpokeError } from '../errors.ts';

/** What --wait means, in milliseconds: undefined where it is not given, Infinity where no duration is. Throws USAGE. */
export function waitMsOf(wait: string | true | undefined): number | undefined {
  if (wait === undefined) return undefined;
  if (wait === true) return Infinity;
  const seconds = parseDuration(wait);
  if (seconds !== undefined) return seconds * 1000;
  throw new SpokeError('USAGE', `--wait ${wait}: this is no duration`, {
    hint: 'For example --wait 30m; or --wait alone, as the last word of the command, for as long as it takes.',
  });
}
