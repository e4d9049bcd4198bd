import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SpokeError } from '../../../errors.ts';
import { createManifestReader, type Manifest, MANIFEST_CHECKSUM_PREFIX } from '../../../domain/native/manifest.ts';

const LINE_FEED = 0x0a;
/** A path has at most 1 KiB, six characters for each of its bytes where JSON needs an escape. */
const LONGEST_LINE_BYTES = 64 * 1024;

/**
 * Reads a manifest as it comes, in lines: holds one of them, whatever its size. `name`: of what is read, for people. Throws BACKUP_DAMAGED
 * where it is not whole or its own checksum is another, and what `source` throws.
 */
export async function readManifest(name: string, source: AsyncIterable<Uint8Array>): Promise<Manifest> {
  const reader = createManifestReader();
  const hash = createHash('sha256');
  try {
    for await (const line of linesOf(source)) {
      const text = line.toString('utf8', 0, line.length - 1);
      if (!text.startsWith(MANIFEST_CHECKSUM_PREFIX)) hash.update(line);
      reader.line(text);
    }
    const manifest = reader.end();
    const found = hash.digest('hex');
    if (found === manifest.checksum) return manifest;
    throw new RangeError(`its SHA-256 is ${found}, and it says ${manifest.checksum}`);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new SpokeError('BACKUP_DAMAGED', `${name} cannot be used: ${thrown.message}`, { details: { object: name } });
  }
}

/**
 * The same, and writes it into a new file that only `owner` can read. Throws EEXIST where there is one; a file that is not whole is left
 * for the caller, who removes the directory.
 */
export async function copyManifest(
  name: string,
  source: AsyncIterable<Uint8Array>,
  file: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<Manifest> {
  const handle = await open(file, 'wx', 0o600);
  try {
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    return await readManifest(
      name,
      (async function* () {
        for await (const chunk of source) {
          await handle.writeFile(chunk);
          yield chunk;
        }
      })(),
    );
  } finally {
    await handle.close();
  }
}

/** Each with its line feed. Throws RangeError where the last has none or one is too long. */
async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk]);
    let begin = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, begin)) {
      yield bytes.subarray(begin, end + 1);
      begin = end + 1;
    }
    rest = Buffer.from(bytes.subarray(begin));
    if (rest.length > LONGEST_LINE_BYTES) throw new RangeError('it has a line that is no line of a manifest');
  }
  if (rest.length > 0) throw new RangeError('its last line is not whole');
}
