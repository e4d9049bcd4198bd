import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { EMPTY_MEMORY, type NoticeMemory, type OpenFailure } from '../../domain/notices/memory.ts';
import type { Notice } from '../../domain/notices/notice.ts';
import { formatInstantIso, type Instant } from '../../domain/time/instant.ts';
import type { NoticeStore } from '../../ports/notifier.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { translating } from './file-error.ts';
import { instantOfText } from './instant-text.ts';

const SCHEMA = 1;

/** `<stateDirectory>/notices.json`, replaced as a whole. */
export function createNoticeStore(stateDirectory: string): NoticeStore {
  const path = join(stateDirectory, 'notices.json');
  return {
    load: async () => memoryOfText(await readFile(path, 'utf8').catch(() => '')) ?? EMPTY_MEMORY,
    save: (memory) => translating(`write ${path}`, () => replace(stateDirectory, path, memoryToText(memory))),
  };
}

async function replace(directory: string, path: string, text: string): Promise<void> {
  await makeDirectory(directory);
  const temporary = await writeTemporary(directory, text);
  try {
    await rename(temporary, path);
  } catch (thrown) {
    await removeIfThere(temporary);
    throw thrown;
  }
  await syncDirectory(directory);
}

/** Instants as text; everything else is plain data. */
export function memoryToText({ open, ...memory }: NoticeMemory): string {
  const isInstant = (value: unknown): value is Instant => typeof value === 'bigint';
  const plain = { schema: SCHEMA, open: [...open], ...memory };
  return `${JSON.stringify(plain, (_, value: unknown) => (isInstant(value) ? formatInstantIso(value) : value))}\n`;
}

/** Undefined where it is anything else: then nothing is remembered. */
export function memoryOfText(text: string): NoticeMemory | undefined {
  try {
    const read = JSON.parse(text) as Record<string, unknown>;
    if (read['schema'] !== SCHEMA) return undefined;
    return {
      open: new Map((read['open'] as [string, OpenFailure][]).map(([key, failure]) => [key, withInstants(failure, ['since', 'saidAt'])])),
      sentAt: (read['sentAt'] as unknown[]).map(instantOf),
      heldBack: (read['heldBack'] as unknown[]).map(String),
      saidResults: (read['saidResults'] as unknown[]).map(String),
      undelivered: (read['undelivered'] as Notice[]).map((notice) => withInstants(notice, ['at'])),
    };
  } catch {
    return undefined;
  }
}

function withInstants<T extends object>(value: T, names: readonly (keyof T)[]): T {
  const instants = names.filter((name) => value[name] !== undefined).map((name) => [name, instantOf(value[name])]);
  return { ...value, ...(Object.fromEntries(instants) as Partial<T>) };
}

/** Throws where the text is none. */
function instantOf(text: unknown): Instant {
  const instant = instantOfText(text);
  if (instant === undefined) throw new RangeError('not an instant');
  return instant;
}
