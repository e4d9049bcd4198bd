/** Every so many of the files that are chosen is one of the newest. */
const NEWEST_EVERY = 4;

/**
 * Which files of a backlog go next, at most `most` of them, each once: the oldest first, since replay needs them in order, but with the newest
 * among them, so that what was written last does not wait for the end of a backlog of days. `names` are sorted.
 */
export function chooseNextFiles(names: readonly string[], most: number): readonly string[] {
  const chosen: string[] = [];
  let oldest = 0;
  let newest = names.length - 1;
  while (oldest <= newest && chosen.length < most) {
    const isNewest = chosen.length % NEWEST_EVERY === NEWEST_EVERY - 1;
    const name = names[isNewest ? newest-- : oldest++];
    if (name !== undefined) chosen.push(name);
  }
  return chosen;
}
