const LINE = /^([0-9a-f]{64})  ([^/\n]+)$/;

/** The text of a `SHA256SUMS`, as sha256sum writes and checks it; by name. */
export function formatSums(sums: ReadonlyMap<string, string>): string {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, hash]) => `${hash}  ${name}\n`)
    .join('');
}

/** SHA-256 by name. Throws RangeError for what is not such a text to its last byte. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  if (!text.endsWith('\n')) throw new RangeError('the last line is cut off');
  const sums = new Map<string, string>();
  for (const line of text.slice(0, -1).split('\n')) {
    const [, hash, name] = LINE.exec(line) ?? [];
    if (hash === undefined || name === undefined) throw new RangeError(`not a line of SHA256SUMS: "${line.slice(0, 100)}"`);
    if (sums.has(name)) throw new RangeError(`"${name}" comes twice`);
    sums.set(name, hash);
  }
  return sums;
}
