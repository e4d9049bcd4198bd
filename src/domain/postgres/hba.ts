import { SpokeError } from '../../errors.ts';

/** A line of pg_hba.conf that lets a role in from an address, by its SCRAM verifier. */
export interface HbaRule {
  /** `replication` for the replication protocol; else the name of a database, or `all`. */
  readonly database: string;
  readonly user: string;
  /** CIDR. */
  readonly address: string;
}

const BEGIN = '# begin of what spoke-backup setup wrote: kept before all else, since the first line that matches counts';
const END = '# end of what spoke-backup setup wrote';

/**
 * The text of a pg_hba.conf with these rules in a block of our own, before all others. Every other line stays as it is. The same rules give
 * the same text again. Throws CONFIG_INVALID where the block is damaged or a name cannot be said in the file.
 */
export function withHbaRules(text: string, rules: readonly HbaRule[]): string {
  const lines = text.split('\n');
  const [begin, end] = [lines.indexOf(BEGIN), lines.indexOf(END)];
  const isWhole = begin === -1 ? end === -1 : end > begin;
  if (!isWhole || lines.lastIndexOf(BEGIN) !== begin || lines.lastIndexOf(END) !== end)
    throw new SpokeError('CONFIG_INVALID', 'pg_hba.conf has one of the two lines that enclose our rules without the other.', {
      hint: `Remove the line that is left ("${BEGIN}" or "${END}"), then repeat the command.`,
    });
  const others = begin === -1 ? lines : [...lines.slice(0, begin), ...lines.slice(end + 1)];
  const kept = begin === -1 ? [] : lines.slice(begin + 1, end);
  const block = [...kept, ...rules.map(hbaLine).filter((line) => !kept.includes(line))];
  return block.length === 0 ? text : [BEGIN, ...unique(block), END, ...others].join('\n');
}

/** As it stands in the file. */
export function hbaLine({ database, user, address }: HbaRule): string {
  const keyword = database === 'replication' || database === 'all' ? database : token(database);
  if (!/^[0-9A-Fa-f:.]+\/\d{1,3}$/.test(address)) throw invalid(address);
  return ['host', keyword, token(user), address, 'scram-sha-256'].map((word, index) => (index < 4 ? word.padEnd(15) : word)).join(' ');
}

/** Always in quotes: so no keyword (`all`, `replication`), no `+` and no `@` means anything. PostgreSQL doubles no quotes before 16. */
function token(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  if (/["\u0000-\u001f\u007f]/.test(name) || name === '') throw invalid(name);
  return `"${name}"`;
}

function invalid(word: string): SpokeError {
  return new SpokeError('CONFIG_INVALID', `pg_hba.conf cannot hold ${JSON.stringify(word)}.`);
}

function unique(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)];
}
