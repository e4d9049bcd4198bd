import * as z from 'zod/mini';

/** Text of which the rule says what it must be. */
export function text(pattern: RegExp, rule: string) {
  return z.string().check(z.regex(pattern, { error: rule }));
}

export function wholeNumber(least: number, most: number) {
  return z.int().check(z.minimum(least), z.maximum(most));
}
