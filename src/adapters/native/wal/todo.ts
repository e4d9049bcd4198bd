import { open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { walFileOfStored } from '../../../domain/native/layout.ts';

/** The files that a repository lacks, as hints in a directory; nobody has to make them durable. */
export interface Todo {
  /** Sorted; in the order in which PostgreSQL archives. */
  list(): Promise<readonly string[]>;
  add(stored: string): Promise<void>;
  remove(stored: string): Promise<void>;
}

export function createTodo(directory: string): Todo {
  return {
    list: async () => (await ifThere(readdir(directory), [])).filter((name) => walFileOfStored(name) !== undefined).sort(),
    add: async (stored) => (await open(join(directory, stored), 'a', 0o600)).close(),
    remove: (stored) => ifThere(unlink(join(directory, stored)), undefined),
  };
}

/** `otherwise` where there is no such file. */
export async function ifThere<T>(reading: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await reading;
  } catch (thrown) {
    if (thrown instanceof Error && Reflect.get(thrown, 'code') === 'ENOENT') return otherwise;
    throw thrown;
  }
}
