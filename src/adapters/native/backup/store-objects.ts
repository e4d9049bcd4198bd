import { createHash } from 'node:crypto';
import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import { backupKey } from '../../../domain/native/layout.ts';
import { SpokeError } from '../../../errors.ts';
import { throwIfCancelled } from '../cancelled.ts';
import type { Destination, Failures } from './destinations.ts';
import { fanOut } from './fan-out.ts';

/** An object as it is stored. */
export interface StoredObject {
  readonly sizeBytes: bigint;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface ObjectWriter {
  readonly label: BackupLabel;
  readonly destinations: readonly Destination[];
  /** Destinations in here get nothing more; those that fail are added. */
  readonly failures: Failures;
  readonly signal: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/** Writes an object into every repository that has not failed, in one pass. Throws what the source throws, and where none is left. */
export async function storeObject(writer: ObjectWriter, name: string, source: AsyncIterable<Uint8Array>): Promise<StoredObject> {
  const { label, failures, signal, onBytes } = writer;
  const hash = createHash('sha256');
  let sizeBytes = 0n;
  async function* measured(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk);
      sizeBytes += BigInt(chunk.length);
      onBytes?.(chunk.length);
      yield chunk;
    }
  }
  const branches = remaining(writer).map((destination) => ({
    name: destination.name,
    write: (bytes: AsyncIterable<Uint8Array>) => destination.store.writeStream(backupKey(label, name), bytes, signal),
  }));
  for (const [repository, error] of await fanOut<RepositoryName>(measured(), branches)) failures.set(repository, error);
  throwIfCancelled(signal);
  remaining(writer);
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** Those that have not failed. Throws why the first failed where none is left. */
export function remaining({ destinations, failures }: Pick<ObjectWriter, 'destinations' | 'failures'>): readonly Destination[] {
  const left = destinations.filter(({ name }) => !failures.has(name));
  const [first] = failures.values();
  if (left.length === 0) throw first ?? new SpokeError('INTERNAL', 'a backup goes into no repository');
  return left;
}
