import type { ConfigPath } from './yaml-source.ts';

/** The value of a key in a file as it is; undefined where there is none, or nothing that could have keys. */
export function field(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

export function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

/** The items of a list, each with its path. */
export function itemsOf(parent: unknown, key: string, path: ConfigPath): [item: unknown, path: ConfigPath][] {
  const items = field(parent, key);
  return Array.isArray(items) ? items.map((item: unknown, index) => [item, [...path, key, index]]) : [];
}
