import { SpokeError } from '../../errors.ts';

const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

/** Settings whose one literal would be stored as one quoted name (PostgreSQL: GUC_LIST_QUOTE, see pg_dump's dumputils.c). */
const QUOTED_LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** The name of a setting, quoted for ALTER SYSTEM. Throws USAGE where it cannot be one. */
export function quoteParameterName(name: string): string {
  if (!PARAMETER_NAME.test(name)) throw new SpokeError('USAGE', `"${name}" is not the name of a PostgreSQL setting.`);
  if (QUOTED_LISTS.has(name.toLowerCase()))
    throw new SpokeError('USAGE', `The setting ${name} is a list of quoted names, which ALTER SYSTEM would not take as one text.`);
  return name
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

/** A string literal that reads the same whatever standard_conforming_strings says. Throws USAGE on a NUL byte. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new SpokeError('USAGE', 'A PostgreSQL text cannot hold a NUL byte.');
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** The name of a role or another object, in double quotes. Throws USAGE on a NUL byte. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new SpokeError('USAGE', 'A PostgreSQL name cannot hold a NUL byte.');
  return `"${name.replaceAll('"', '""')}"`;
}
