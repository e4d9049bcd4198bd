import { SpokeError } from '../../errors.ts';
import { type Instant, instantOfMicros } from '../../domain/time/instant.ts';
import { type Lsn, parseLsn } from '../../domain/postgres/lsn.ts';
import type { TextRow } from './session.ts';

/** The only row of a statement that gives exactly one. */
export function onlyRow(rows: readonly TextRow[]): TextRow {
  const [row] = rows;
  if (row === undefined || rows.length !== 1) throw new SpokeError('INTERNAL', `expected one row, got ${rows.length}`);
  return row;
}

/** A column that is never null. */
export function textOf(row: TextRow, column: string): string {
  const value = row[column];
  if (value === null || value === undefined) throw new SpokeError('INTERNAL', `column ${column} is missing`);
  return value;
}

export function booleanOf(row: TextRow, column: string): boolean {
  return row[column] === 't';
}

/** `{ [key]: value }` where the column is not null, else `{}`: for optional properties. */
export function optionalText<K extends string>(key: K, row: TextRow, column: string): { [P in K]?: string } {
  return optional(key, row[column], (text) => text);
}

export function optionalLsn<K extends string>(key: K, row: TextRow, column: string): { [P in K]?: Lsn } {
  return optional(key, row[column], parseLsn);
}

/** Of a column that holds microseconds since the epoch. */
export function optionalInstant<K extends string>(key: K, row: TextRow, column: string): { [P in K]?: Instant } {
  return optional(key, row[column], (text) => instantOfMicros(BigInt(text)));
}

function optional<K extends string, T>(key: K, text: string | null | undefined, parse: (text: string) => T): { [P in K]?: T } {
  const result: { [P in K]?: T } = {};
  if (text !== null && text !== undefined) result[key] = parse(text);
  return result;
}
