import type { IniEntry } from './pgbackrest-ini.ts';

/** The options that apply to one stanza; each is taken once, and what nobody took is left over. */
export class ImportOptions {
  readonly warnings: string[] = [];
  readonly #entries = new Map<string, IniEntry>();
  readonly #secretFile: (option: string) => string;

  /** In the order of precedence: what comes later wins. */
  constructor(entries: readonly IniEntry[], secretFile: (option: string) => string) {
    this.#secretFile = secretFile;
    for (const entry of entries) {
      const other = this.#entries.get(entry.name);
      if (other?.section === entry.section) {
        this.warn(other, `${entry.name} is there again in line ${entry.line}; only the last one was taken`);
      }
      this.#entries.set(entry.name, entry);
    }
  }

  warn(entry: IniEntry, message: string): void {
    this.warnings.push(`line ${entry.line}: ${message}`);
  }

  take(name: string): IniEntry | undefined {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    return entry;
  }

  takeValue(name: string): string | undefined {
    return this.take(name)?.value;
  }

  /** undefined also where it is no number, which is warned of. */
  takeNumber(name: string): number | undefined {
    const entry = this.take(name);
    if (entry === undefined) return undefined;
    if (/^-?\d{1,9}$/.test(entry.value)) return Number(entry.value);
    this.warn(entry, `${name} is not a whole number; left out`);
    return undefined;
  }

  /** A reference to the file that the value belongs in. The value itself goes nowhere. */
  takeSecret(name: string): string | undefined {
    const entry = this.take(name);
    if (entry === undefined) return undefined;
    const file = this.#secretFile(name);
    this.warn(entry, `the value of ${name} was not copied: put it into ${file}, readable by its owner only (mode 0600)`);
    return `\${file:${file}}`;
  }

  /** As takeSecret, for a secret that must exist and is not in the file (pgBackRest also takes it from its environment). */
  requireSecret(name: string): string {
    const reference = this.takeSecret(name);
    if (reference !== undefined) return reference;
    const file = this.#secretFile(name);
    this.warnings.push(`${name} is not in the file: put its value into ${file}, readable by its owner only (mode 0600)`);
    return `\${file:${file}}`;
  }

  /** The numbers of the repositories or nodes, ascending. */
  numbersOf(kind: 'repo' | 'pg'): number[] {
    const numbers = new Set<number>();
    for (const name of this.#entries.keys()) {
      const match = new RegExp(`^${kind}(\\d{1,3})-`).exec(name);
      if (match !== null) numbers.add(Number(match[1]));
    }
    return [...numbers].sort((a, b) => a - b);
  }

  /** Everything that begins so, taken. */
  takeAll(prefix: string): IniEntry[] {
    const taken = [...this.#entries.values()].filter((entry) => entry.name.startsWith(prefix));
    for (const entry of taken) this.#entries.delete(entry.name);
    return taken;
  }
}
