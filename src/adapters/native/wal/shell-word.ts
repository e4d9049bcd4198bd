/** A word for a command that PostgreSQL hands to a shell, where it takes `%` for the beginning of a placeholder. */
export function shellWord(word: string): string {
  const escaped = word.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`;
}
