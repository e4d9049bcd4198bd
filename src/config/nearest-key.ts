/** The known word that was probably meant, or undefined where none is near. */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  const plain = normalise(word);
  let best: { key: string; distance: number } | undefined;
  for (const key of known) {
    const distance = editDistance(plain, normalise(key));
    if (best === undefined || distance < best.distance) best = { key, distance };
  }
  const limit = Math.max(1, Math.floor(plain.length / 3));
  if (best !== undefined && best.distance <= limit) return best.key;
  const extended = known.filter((key) => plain.length >= 3 && normalise(key).includes(plain));
  return extended.length === 1 ? extended[0] : undefined;
}

/** `data_directory`, `data-directory` and `DataDirectory` are all the same slip. */
function normalise(word: string): string {
  return word
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[-_\s]/g, '');
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
