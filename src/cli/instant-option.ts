import { formatAge, formatInstantLocal, formatInstantUtc, type Instant } from '../domain/time/instant.ts';
import { SpokeError } from '../errors.ts';
import type { Session } from './session.ts';

/** An instant as it was typed for an option, and what was understood. Throws USAGE, with what may have been meant. */
export async function instantOption(
  option: string,
  text: string,
  { ports, configuration: { timezone } }: Session,
): Promise<{ readonly instant: Instant; readonly echo: string; readonly needsConfirmation: boolean }> {
  const { parseInstant } = await import('../domain/time/parse-instant.ts');
  const now = ports.clock.now();
  const parsed = parseInstant(text, {
    now,
    hostTimeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    ...(timezone === undefined ? {} : { timeZone: timezone }),
  });
  if (parsed.kind === 'refused') {
    const meant = parsed.suggestions.map((suggestion) => `${option} "${suggestion}"`).join(' or ');
    throw new SpokeError('USAGE', `${option} ${text}: ${parsed.message}`, meant === '' ? {} : { hint: `Do you mean: ${meant}` });
  }
  const { instant, needsConfirmation } = parsed;
  const local = timezone === undefined ? '' : ` (${formatInstantLocal(instant, timezone)})`;
  return { instant, echo: `${option} "${text}" is ${formatInstantUtc(instant)}${local}, ${formatAge(instant, now)}`, needsConfirmation };
}
