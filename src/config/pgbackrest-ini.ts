/** One line `name=value` of a pgbackrest.conf. */
export interface IniEntry {
  /** For example `global`, `main` or `global:archive-push`. */
  readonly section: string;
  /** With the number of its repository or node: `repo-path` is an old way to say `repo1-path`. */
  readonly name: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/** Reads pgBackRest's ini format: sections, `name=value`, and comments that begin their line with `#`. */
export function parsePgbackrestIni(text: string): { entries: IniEntry[]; warnings: string[] } {
  const entries: IniEntry[] = [];
  const warnings: string[] = [];
  let section: string | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (content === '' || content.startsWith('#')) continue;
    const header = /^\[(.+)\]$/.exec(content);
    const equals = content.indexOf('=');
    if (header !== null) section = header[1] ?? '';
    else if (equals <= 0) warnings.push(`line ${line}: neither a section nor name=value; ignored`);
    else if (section === undefined) warnings.push(`line ${line}: stands before the first section; ignored`);
    else entries.push({ section, name: withNumber(content.slice(0, equals).trim()), value: content.slice(equals + 1).trim(), line });
  }
  return { entries, warnings };
}

/** The names that options had before several repositories and nodes were possible. */
function withNumber(name: string): string {
  const current = name.replace(/^db(\d*)-(?=path$|port$|socket-path$|user$|host)/, 'pg$1-');
  const old = /^(repo|pg)-(.+)$/.exec(current);
  return old === null ? current : `${old[1]}1-${old[2]}`;
}
