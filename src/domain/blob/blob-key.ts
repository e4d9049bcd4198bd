/** Printable ASCII but for quotes, backslash and what a shell or a URL would read. A leading dot is for what is only half written. */
const PART = /^[A-Za-z0-9_+=@,~-][A-Za-z0-9._+=@,~-]*$/;

/**
 * The parts of an object's key. Throws RangeError for what is none: empty or hidden parts, `..`, or characters that are not the same
 * everywhere.
 */
export function blobKeyParts(key: string): readonly string[] {
  const parts = key.split('/');
  if (!parts.every((part) => PART.test(part))) throw new RangeError(`not the key of an object: ${JSON.stringify(key)}`);
  return parts;
}

/** What a prefix says: the folders that are whole in it, and how names in the last of them begin. Throws RangeError. */
export function blobPrefixParts(prefix: string): { readonly folders: readonly string[]; readonly nameBegin: string } {
  const cut = prefix.lastIndexOf('/');
  const nameBegin = prefix.slice(cut + 1);
  if (nameBegin !== '') blobKeyParts(nameBegin);
  return { folders: cut < 0 ? [] : blobKeyParts(prefix.slice(0, cut)), nameBegin };
}

/** As object stores sort keys: by their bytes, which for keys of ASCII is JavaScript's own order. */
export function byKey(one: { readonly key: string }, other: { readonly key: string }): number {
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}
