/**
 * A word for a command that PostgreSQL hands to a shell (archive_command, restore_command), where it takes `%` for the
 * beginning of a placeholder.
 */
export function shellWord(word: string): string {
  const escaped = word.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`;
}

/**
 * A value for a recovery option or a recovery target of pgBackRest, which puts it between quotes into postgresql.auto.conf as it
 * is: a quote in it would end the value there. Escaped as PostgreSQL's configuration files have it.
 */
export function confValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}
