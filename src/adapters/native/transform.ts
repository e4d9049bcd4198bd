import type { NativeCompressType } from '../../domain/native/layout.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { ageDecryption, ageEncryption, noIdentity } from './filters/age.ts';
import { requirePrivateFile } from './filters/identity-file.ts';
import { lz4Compressor, lz4Decompressor, notEmpty } from './filters/lz4.ts';
import { throughProcess } from './filters/through-process.ts';
import { compressZstd, decompressZstd } from './filters/zstd.ts';
import type { NativeSettings } from './settings.ts';

/**
 * What objects become on their way into a repository and back. zstd is Node's own: measured on 500 MB it takes as much CPU as the program
 * behind two pipes and a fifth more time (350 MB/s in, 550 MB/s out), but a segment of WAL, a matter of 30 ms, does not wait for a process
 * to start, and a host that reads needs no program for it. lz4 and age are programs: Node has neither.
 */
export interface TransformParts {
  readonly runner: ProcessRunner;
  readonly settings: Pick<NativeSettings, 'compressLevel' | 'encryption'>;
}

/**
 * `source` as it is stored: compressed (undefined: it is already, or shall not be), then encrypted where the settings say so. The memory of
 * what `source` gives may be used again once the next is asked for; where nothing is to be done that holds for what comes out, too. Throws what `source` throws, TOOL_MISSING, TOOL_FAILED, CONFIG_INVALID (a recipient that is none), TIMED_OUT, CANCELLED.
 */
export function storing(
  { runner, settings: { compressLevel, encryption } }: TransformParts,
  compressType: NativeCompressType | undefined,
  source: AsyncIterable<Uint8Array>,
  context: OperationContext,
): AsyncIterable<Uint8Array> {
  if (compressType === undefined && encryption === undefined) return source;
  const compressed = compress(copies(source));
  return encryption === undefined ? compressed : throughProcess(runner, ageEncryption(encryption.recipients), compressed, context);

  function compress(plain: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    if (compressType === undefined) return plain;
    if (compressType === 'zst') return compressZstd(compressLevel, plain, context);
    return throughProcess(runner, lz4Compressor(compressLevel), plain, context);
  }
}

/**
 * What was stored under `storedName`, by the ends of that name (.age, .zst, .lz4), out of what is stored, `source`. Ends only where all of it
 * has come and every checksum was right. Throws what `source` throws, BACKUP_DAMAGED, SECRET_UNAVAILABLE (no private key, or none that
 * opens it), TOOL_MISSING, TOOL_FAILED, TIMED_OUT, CANCELLED.
 */
export function reading(
  { runner, settings: { encryption } }: TransformParts,
  storedName: string,
  source: AsyncIterable<Uint8Array>,
  context: OperationContext,
): AsyncIterable<Uint8Array> {
  const isEncrypted = storedName.endsWith('.age');
  const compressed = isEncrypted ? decrypted() : source;
  const compressedName = isEncrypted ? storedName.slice(0, -'.age'.length) : storedName;
  if (compressedName.endsWith('.zst')) return decompressZstd(storedName, compressed, context);
  if (compressedName.endsWith('.lz4'))
    return throughProcess(runner, lz4Decompressor(storedName), notEmpty(storedName, compressed), context);
  return compressed;

  async function* decrypted(): AsyncGenerator<Uint8Array> {
    const identityFile = encryption?.identityFile;
    if (identityFile === undefined) throw noIdentity(storedName);
    await requirePrivateFile(identityFile);
    yield* throughProcess(runner, ageDecryption(storedName, identityFile), source, context);
  }
}

/** Whoever feeds a program or a compressor asks for the next before the last is through. */
async function* copies(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Buffer.from(chunk);
}
