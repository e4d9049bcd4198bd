/** Node's name for how an object shows itself; by the registry of symbols, so that `node:util` need not be loaded. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Where a secret is kept. */
export type SecretSource =
  | { readonly kind: 'env'; readonly variable: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly argv: readonly string[] };

/**
 * Says where a secret is kept; the secret itself is read by resolveSecret when it is needed.
 * However it is printed (toString, JSON, inspect), the reference appears.
 */
export class SecretReference {
  readonly #source: SecretSource;

  constructor(source: SecretSource) {
    this.#source = source;
  }

  source(): SecretSource {
    return this.#source;
  }

  /** For printing, for example `${file:/etc/spoke-backup/secrets/s3-key}`. Of a command only the program: its arguments may be telling. */
  describe(): string {
    switch (this.#source.kind) {
      case 'env':
        return `\${env:${this.#source.variable}}`;
      case 'file':
        return `\${file:${this.#source.path}}`;
      case 'command':
        return `passwordCommand: ${this.#source.argv[0] ?? ''}${this.#source.argv.length > 1 ? ' …' : ''}`;
    }
  }

  toString(): string {
    return this.describe();
  }

  toJSON(): string {
    return this.describe();
  }

  [INSPECT](): string {
    return this.describe();
  }
}

/** Text with references in it, for example `postgresql://backup:${env:PGPASSWORD}@db1/postgres`. */
export class SecretText {
  readonly #parts: readonly (string | SecretReference)[];

  constructor(parts: readonly (string | SecretReference)[]) {
    this.#parts = parts;
  }

  parts(): readonly (string | SecretReference)[] {
    return this.#parts;
  }

  /** For printing: as it was written. */
  describe(): string {
    return this.#parts.map((part) => (typeof part === 'string' ? part : part.describe())).join('');
  }

  toString(): string {
    return this.describe();
  }

  toJSON(): string {
    return this.describe();
  }

  [INSPECT](): string {
    return this.describe();
  }
}

const REFERENCE = /\$\{(?:env:([A-Za-z_][A-Za-z0-9_]*)|file:(\/[^\0\r\n{}]*))\}/;

/** A reference and nothing else. */
export const SECRET_REFERENCE_PATTERN = new RegExp(`^${REFERENCE.source}$`);

/** Reads `${env:NAME}` or `${file:/absolute/path}`; undefined for anything else, a reference with text around it included. */
export function parseSecretReference(text: string): SecretReference | undefined {
  const match = SECRET_REFERENCE_PATTERN.exec(text);
  return match === null ? undefined : referenceOfMatch(match);
}

/** Reads text with any number of references in it; undefined where a `${` begins no reference. */
export function parseSecretText(text: string): SecretText | undefined {
  const parts: (string | SecretReference)[] = [];
  let end = 0;
  for (const match of text.matchAll(new RegExp(REFERENCE.source, 'g'))) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(referenceOfMatch(match));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  const unread = parts.some((part) => typeof part === 'string' && part.includes('${'));
  return unread ? undefined : new SecretText(parts);
}

function referenceOfMatch(match: RegExpExecArray | RegExpMatchArray): SecretReference {
  const [, variable, path] = match;
  return variable === undefined ? new SecretReference({ kind: 'file', path: path ?? '' }) : new SecretReference({ kind: 'env', variable });
}
