import type * as z from 'zod/mini';
import { nearestKey } from './nearest-key.ts';
import type { ConfigPath, Problem } from './yaml-source.ts';
import { printPath, quoteKey } from './yaml-source.ts';

/** What the schema finds wrong with a value, each thing by itself and in our words; no message quotes a value. */
export function problemsOfSchema<T>(schema: z.ZodMiniType<T>, tree: unknown): { value?: T; problems: Problem[] } {
  const knownKeys = new Map<string, readonly string[]>();
  const result = schema.safeParse(tree, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') knownKeys.set(printPath(pathOf(issue.path)), keysOf(issue.inst));
      return messageOf(issue);
    },
  });
  if (result.success) return { value: result.data, problems: [] };
  const problems = result.error.issues.flatMap((issue): Problem[] => {
    const path = pathOf(issue.path);
    if (issue.code !== 'unrecognized_keys') return [{ path, message: innermostMessage(issue) }];
    return issue.keys.map((key) => unknownKey(path, key, knownKeys.get(printPath(path)) ?? []));
  });
  return { problems };
}

function unknownKey(path: ConfigPath, key: string, known: readonly string[]): Problem {
  const nearest = nearestKey(key, known);
  const help = nearest === undefined ? `known here: ${known.join(', ')}` : `did you mean "${nearest}"?`;
  return { path: [...path, key], message: `unknown key ${quoteKey(key)}`, help };
}

/** The fault of a key (of a map with free keys) is nested in the issue. */
function innermostMessage(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_key') return issue.message;
  return issue.issues[0]?.message ?? 'is not allowed';
}

function messageOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${expectation(issue.expected)}, not ${kindOf(issue.input)}`;
    case 'invalid_value':
      return issue.input === undefined
        ? 'is missing'
        : `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'array' ? `must have at least ${issue.minimum}` : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array' || issue.origin === 'string'
        ? `must have at most ${issue.maximum} ${issue.origin === 'array' ? 'entries' : 'characters'}`
        : `must be at most ${issue.maximum}`;
    default:
      return 'is not allowed here';
  }
}

const EXPECTATIONS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function expectation(expected: string): string {
  return EXPECTATIONS[expected] ?? expected;
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'boolean' ? 'true or false' : `a ${typeof value}`;
}

function keysOf(schema: z.core.$ZodRawIssue['inst']): readonly string[] {
  const definition = schema?._zod.def;
  return definition !== undefined && 'shape' in definition ? Object.keys(definition.shape as object) : [];
}

function pathOf(path: readonly PropertyKey[] | undefined): ConfigPath {
  return (path ?? []).map((key) => (typeof key === 'number' ? key : String(key)));
}
