import * as z from 'zod/mini';
import { key } from './described.ts';
import * as patterns from './patterns.ts';
import { checkUrlTemplate } from './postgres-url.ts';
import { parseSecretReference, parseSecretText, SECRET_REFERENCE_PATTERN, SecretReference } from './secrets.ts';

/** Text of which the rule says what it must be. */
export function text(pattern: RegExp, rule: string) {
  return z.string().check(z.regex(pattern, { error: rule }));
}

export function wholeNumber(least: number, most: number) {
  return z.int().check(z.minimum(least), z.maximum(most));
}

export const name = text(patterns.NAME_PATTERN, patterns.NAME_RULE);
export const absolutePath = z
  .string()
  .check(z.maxLength(4096), z.regex(patterns.PATH_PATTERN, { error: patterns.PATH_RULE }), z.overwrite(withoutLastSlash));
export const program = text(patterns.COMMAND_PATTERN, patterns.COMMAND_RULE);
export const port = wholeNumber(1, 65_535);
export const argv = z.tuple([program], text(/^[^\0]*$/, 'must not contain NUL'));

const SECRET_RULE =
  'must be a reference to a secret: ${env:NAME}, ${file:/absolute/path} or {passwordCommand: [program, argument]}. ' +
  'A secret itself is refused here, because this file is shown, copied and kept';

export const secret = z.pipe(
  z.union(
    [
      text(SECRET_REFERENCE_PATTERN, SECRET_RULE),
      z.strictObject({
        passwordCommand: key('Program and arguments; prints the secret on its standard output.', argv),
      }),
    ],
    { error: SECRET_RULE },
  ),
  z.transform((value): SecretReference => {
    const reference = typeof value === 'string' ? parseSecretReference(value) : undefined;
    return reference ?? new SecretReference({ kind: 'command', argv: typeof value === 'string' ? [] : value.passwordCommand });
  }),
);

export const url = z.pipe(
  z.string(),
  z.transform((value: string, context) => {
    const template = parseSecretText(value);
    const fault = template === undefined ? 'a reference in it is neither ${env:NAME} nor ${file:/path}' : checkUrlTemplate(template);
    if (template !== undefined && fault === undefined) return template;
    const message = `must be a URL postgresql://user@host:port/database: ${fault}`;
    context.issues.push({ code: 'custom', message, input: value });
    return z.NEVER;
  }),
);

/** pgBackRest does not like `/a/` for `/a`; nor do comparisons of paths. */
function withoutLastSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
